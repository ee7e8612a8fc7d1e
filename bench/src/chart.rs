//! Charts as plain SVG: two logarithmic axes, a line per series, its name beside its last point.
//!
//! A chart brings its own ground in light and dark, so that it can be read wherever it is shown.

use std::fmt::Write as _;

use crate::setting::Setting;
use crate::stats::number;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 560.0;
const TOP: f64 = 56.0;
const BOTTOM: f64 = 340.0;
const STYLE: &str = "\
text{font:13px system-ui,sans-serif;fill:#33312c}.title{font-weight:600;font-size:15px}\
.ground{fill:#fdfcf9}.grid{stroke:#dedad0}.line{fill:none;stroke-width:2.5}\
.s0{stroke:#1f5fbf}.s1{stroke:#b4480f}.s2{stroke:#2a7d4f}.s3{stroke:#7a3fa0}\
.d0{fill:#1f5fbf}.d1{fill:#b4480f}.d2{fill:#2a7d4f}.d3{fill:#7a3fa0}\
@media(prefers-color-scheme:dark){text{fill:#e8e5dc}.ground{fill:#1d1c19}.grid{stroke:#3d3a34}\
.s0{stroke:#7db1ff}.s1{stroke:#ff9a5c}.s2{stroke:#74d39d}.s3{stroke:#c79bec}\
.d0{fill:#7db1ff}.d1{fill:#ff9a5c}.d2{fill:#74d39d}.d3{fill:#c79bec}}";

/// A chart.
#[derive(Debug)]
pub(crate) struct Chart {
    pub(crate) title: String,
    pub(crate) across: String,
    pub(crate) up: String,
    /// Name and points of each line.
    pub(crate) series: Vec<(String, Vec<(f64, f64)>)>,
}

/// A logarithmic axis from one power of ten to another, on a stretch of the picture.
struct Axis {
    low: f64,
    high: f64,
    begin: f64,
    end: f64,
}

impl Axis {
    fn over(values: impl Iterator<Item = f64>, begin: f64, end: f64) -> Axis {
        let (mut low, mut high) = (f64::MAX, f64::MIN);
        for value in values.filter(|value| *value > 0.0) {
            low = low.min(value.log10().floor());
            high = high.max(value.log10().ceil());
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        Axis { low, high: high.max(low + 1.0), begin, end }
    }

    fn at(&self, value: f64) -> f64 {
        let share = (value.max(1e-9).log10() - self.low) / (self.high - self.low);
        self.begin + (self.end - self.begin) * share
    }

    fn powers(&self) -> impl Iterator<Item = f64> {
        let mut power = self.low;
        let high = self.high;
        std::iter::from_fn(move || {
            let here = power;
            power += 1.0;
            (here <= high).then(|| 10f64.powf(here))
        })
    }
}

impl Chart {
    /// As SVG.
    pub(crate) fn svg(&self) -> String {
        let points = || self.series.iter().flat_map(|(_, points)| points);
        let across = Axis::over(points().map(|point| point.0), LEFT, RIGHT);
        let up = Axis::over(points().map(|point| point.1), BOTTOM, TOP);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">\n\
             <title>{0}</title><style>{STYLE}</style>\n\
             <rect class=\"ground\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"8\"/>\n\
             <text class=\"title\" x=\"20\" y=\"30\">{0}</text>\n",
            escape(&self.title)
        );
        for power in across.powers() {
            let x = across.at(power);
            let _ = writeln!(
                svg,
                "<path class=\"grid\" d=\"M{x:.1} {TOP}V{BOTTOM}\"/>\
                 <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                BOTTOM + 20.0,
                tick(power)
            );
        }
        for power in up.powers() {
            let y = up.at(power);
            let _ = writeln!(
                svg,
                "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{RIGHT}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 8.0,
                y + 4.0,
                tick(power)
            );
        }
        let middle = f64::midpoint(LEFT, RIGHT);
        let _ = writeln!(
            svg,
            "<text x=\"{middle}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
             <text x=\"{LEFT}\" y=\"{:.1}\">{}</text>",
            BOTTOM + 44.0,
            escape(&self.across),
            TOP - 8.0,
            escape(&self.up)
        );
        self.lines(&mut svg, &across, &up);
        svg + "</svg>\n"
    }

    fn lines(&self, svg: &mut String, across: &Axis, up: &Axis) {
        let mut taken: Vec<f64> = Vec::new();
        for (place, (name, points)) in self.series.iter().enumerate() {
            let class = place % 4;
            let drawn: Vec<(f64, f64)> =
                points.iter().map(|(x, y)| (across.at(*x), up.at(*y))).collect();
            let path: Vec<String> = drawn.iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
            let _ = writeln!(svg, "<path class=\"line s{class}\" d=\"M{}\"/>", path.join("L"));
            for ((x, y), (_, value)) in drawn.iter().zip(points) {
                let _ = writeln!(
                    svg,
                    "<circle class=\"d{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/>\
                     <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                    y - 9.0,
                    number(*value)
                );
            }
            let Some((_, last)) = drawn.last() else { continue };
            // Names must not lie on each other.
            let mut y = last + 4.0;
            while taken.iter().any(|other| (other - y).abs() < 16.0) {
                y += 16.0;
            }
            taken.push(y);
            let name = escape(name);
            let _ = writeln!(
                svg,
                "<circle class=\"d{class}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\"/><text x=\"{:.1}\" y=\"{y:.1}\">{name}</text>",
                RIGHT + 16.0,
                y - 4.0,
                RIGHT + 26.0
            );
        }
    }

    /// Write it among the charts of the page.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub(crate) fn save(&self, setting: &Setting, name: &str) -> anyhow::Result<()> {
        let folder = setting.charts();
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(format!("{name}.svg")), self.svg())?;
        Ok(())
    }
}

fn tick(power: f64) -> String {
    match power {
        _ if power >= 1e6 => format!("{} M", number(power / 1e6)),
        _ if power >= 1e3 => format!("{:.0} k", power / 1e3),
        _ if power >= 1.0 => format!("{power:.0}"),
        _ => format!("{power}"),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
