//! Names in sentences about faults: lists of what is allowed, and what was probably meant.

/// `a, b or c`, in backticks.
pub(super) fn one_of(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
    }
}

/// The name that differs least, when it differs by little enough to be a slip.
pub(super) fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.to_lowercase().chars().take(100).collect();
    let allowed = match word.len() {
        0..=2 => return None,
        3..=5 => 1,
        6..=10 => 2,
        _ => 3,
    };
    names
        .map(|name| (distance(&word, name), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, name)| name)
}

/// Letters to insert, remove or exchange.
fn distance(word: &[char], name: &str) -> usize {
    let mut row: Vec<usize> = (0..=word.len()).collect();
    for (line, letter) in name.chars().enumerate() {
        let mut diagonal = line;
        let mut left = line + 1;
        let mut next = vec![left];
        for (own, above) in word.iter().zip(row.iter().skip(1)) {
            let exchanged = diagonal + usize::from(*own != letter);
            left = exchanged.min(left + 1).min(above + 1);
            next.push(left);
            diagonal = *above;
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised() {
        let names = ["plan", "email", "created_at"];
        assert_eq!(nearest("creatd_at", names.into_iter()), Some("created_at"));
        assert_eq!(nearest("emial", names.into_iter()), None);
        assert_eq!(nearest("emal", names.into_iter()), Some("email"));
        assert_eq!(nearest("colour", names.into_iter()), None);
        assert_eq!(one_of(&names), "`plan`, `email` or `created_at`");
    }
}
