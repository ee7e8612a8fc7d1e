//! Every bound of a template in one place, each with the accident it prevents.
//!
//! The first group is checked on the text, before the template engine sees it: its parser, compiler and
//! destructors recurse over the expression tree, and a stack overflow aborts the whole process. The second group is
//! spent while rendering. Together they keep a render inside a 2 MiB stack, one second and 100 MB.

/// The whole template. A long newsletter is 60 KiB, and mail readers clip at about 100 KiB.
pub(super) const SOURCE_BYTES: usize = 256 * 1024;
/// One `{{ … }}` or `{% … %}`.
pub(super) const BLOCK_BYTES: usize = 8 * 1024;
/// Operators, dots, pipes, opening brackets and words like `not` in one block: each may be a level of the tree.
pub(super) const BLOCK_OPERATORS: usize = 200;
/// Commas in one block: a list of a thousand references to one big value is a thousand copies once it is printed.
pub(super) const BLOCK_COMMAS: usize = 256;
/// `((((…))))` in one block.
pub(super) const PARENTHESES: usize = 32;
/// `{% if %}{% for %}…` inside each other.
pub(super) const NESTING: usize = 32;
/// `{% elif %}`s of all open blocks together: each is parsed as an `if` inside the previous one.
pub(super) const ELIFS: usize = 64;

/// Instructions, and one more for every 64 bytes made or read.
pub(super) const FUEL: u64 = 50_000;
/// What one render may write.
pub(super) const OUTPUT_BYTES: usize = 512 * 1024;
/// Frames of the engine: a macro costs four, a loop or `with` one.
pub(super) const RECURSION: usize = 100;
/// `range(…)`.
pub(super) const RANGE_ITEMS: i64 = 10_000;
/// One string made by `replace`, `join`, `tojson` and the like.
pub(super) const STRING_BYTES: usize = 512 * 1024;
/// How deep lists and objects of the context are followed; what lies deeper is treated as missing.
pub(super) const CONTEXT_DEPTH: usize = 64;
/// The argument of `date`, which may ask for padding.
pub(super) const DATE_FORMAT_BYTES: usize = 100;
/// Tokens in a template of which we still say that it cannot run out of fuel.
pub(super) const PLAIN_TOKENS: usize = 5_000;
