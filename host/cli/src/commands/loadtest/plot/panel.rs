//! One diagram: axes, a grid and lines.

const LEFT: f64 = 70.0;
const RIGHT: f64 = 930.0;
const PANEL_HEIGHT: f64 = 290.0;

/// A line.
pub(super) struct Series {
    pub(super) name: &'static str,
    pub(super) colour: &'static str,
    pub(super) points: Vec<(f64, f64)>,
}

/// An axis with its marks.
pub(super) struct Axis {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) ticks: Vec<(f64, String)>,
    pub(super) title: &'static str,
    pub(super) is_logarithmic: bool,
}

impl Axis {
    /// Milliseconds from a 1, 2 or 5 below the lowest to one above the highest.
    pub(super) fn latencies(lowest: f64, highest: f64) -> Self {
        let mut marks = Vec::new();
        for power in -4..=7 {
            marks.extend([1.0, 2.0, 5.0].map(|digit| digit * 10_f64.powi(power)));
        }
        let low = marks.iter().rposition(|mark| *mark <= lowest).unwrap_or(0);
        let high = marks.iter().position(|mark| *mark >= highest).unwrap_or(marks.len() - 1).max(low + 1);
        let shown = &marks[low..=high.min(marks.len() - 1)];
        // Where there would be too many, the powers of ten do.
        let is_shown = |mark: &&f64| shown.len() <= 13 || (mark.log10() - mark.log10().round()).abs() < 1e-9;
        let ticks = shown.iter().filter(is_shown).map(|mark| (*mark, number(*mark)));
        Axis {
            low: shown[0],
            high: shown[shown.len() - 1],
            ticks: ticks.collect(),
            title: "latency (ms)",
            is_logarithmic: true,
        }
    }

    /// Seconds from the beginning.
    pub(super) fn seconds(last: f64) -> Self {
        let last = if last > 0.0 { last } else { 1.0 };
        let coarse = 10_f64.powf((last / 10.0).log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * coarse).into_iter().find(|step| last / step <= 10.0);
        let step = step.unwrap_or(last);
        let ticks = (0..=10).map(|tick| f64::from(tick) * step).take_while(|tick| *tick <= last * 1.01);
        let ticks = ticks.map(|tick| (tick, number(tick))).collect();
        Axis {
            low: 0.0,
            high: last,
            ticks,
            title: "time since the measured load began (s)",
            is_logarithmic: false,
        }
    }

    /// Where a value lies between both ends, from 0 to 1.
    fn share(&self, value: f64) -> f64 {
        let scaled = |value: f64| if self.is_logarithmic { value.log10() } else { value };
        ((scaled(value) - scaled(self.low)) / (scaled(self.high) - scaled(self.low))).clamp(0.0, 1.0)
    }
}

/// A number without digits that say nothing.
fn number(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A diagram.
pub(super) struct Panel<'a> {
    pub(super) title: &'static str,
    pub(super) top: f64,
    pub(super) x: &'a Axis,
    pub(super) y: &'a Axis,
    pub(super) series: &'a [Series],
}

impl Panel<'_> {
    /// The elements of the diagram.
    pub(super) fn draw(&self) -> String {
        let mut svg = format!("<g>\n<text x=\"{LEFT}\" y=\"{}\">{}</text>\n", self.top, self.title);
        svg.push_str(&self.grid());
        for (place, series) in self.series.iter().enumerate() {
            svg.push_str(&self.line(series));
            if self.series.len() > 1 {
                svg.push_str(&self.legend(place, series));
            }
        }
        svg.push_str("</g>\n");
        svg
    }

    fn left_of(&self, value: f64) -> f64 {
        LEFT + self.x.share(value) * (RIGHT - LEFT)
    }

    fn bottom(&self) -> f64 {
        self.top + 12.0 + PANEL_HEIGHT
    }

    fn top_of(&self, value: f64) -> f64 {
        self.bottom() - self.y.share(value) * PANEL_HEIGHT
    }

    fn grid(&self) -> String {
        let (bottom, top) = (self.bottom(), self.top + 12.0);
        let mut svg = String::new();
        for (value, label) in &self.x.ticks {
            let x = self.left_of(*value);
            svg.push_str(&format!(
                "<line x1=\"{x:.1}\" y1=\"{top}\" x2=\"{x:.1}\" y2=\"{bottom}\" class=\"grid\"/>\n"
            ));
            let y = bottom + 18.0;
            svg.push_str(&format!("<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{label}</text>\n"));
        }
        for (value, label) in &self.y.ticks {
            let y = self.top_of(*value);
            svg.push_str(&format!(
                "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{RIGHT}\" y2=\"{y:.1}\" class=\"grid\"/>\n"
            ));
            let (x, below) = (LEFT - 8.0, y + 4.0);
            svg.push_str(&format!("<text x=\"{x}\" y=\"{below:.1}\" text-anchor=\"end\">{label}</text>\n"));
        }
        svg.push_str(&format!("<path d=\"M{LEFT} {top}V{bottom}H{RIGHT}\" fill=\"none\" class=\"axis\"/>\n"));
        let (middle, below) = ((LEFT + RIGHT) / 2.0, bottom + 38.0);
        let title = self.x.title;
        svg.push_str(&format!("<text x=\"{middle}\" y=\"{below}\" text-anchor=\"middle\">{title}</text>\n"));
        let (y, title) = ((top + bottom) / 2.0, self.y.title);
        svg.push_str(&format!(
            "<text x=\"18\" y=\"{y}\" text-anchor=\"middle\" transform=\"rotate(-90 18 {y})\">{title}</text>\n"
        ));
        svg
    }

    fn line(&self, series: &Series) -> String {
        let points = series.points.iter().map(|(x, y)| format!("{:.1},{:.1}", self.left_of(*x), self.top_of(*y)));
        let points = points.collect::<Vec<_>>().join(" ");
        let (name, colour) = (series.name, series.colour);
        format!("<polyline class=\"series\" id=\"{name}\" stroke=\"{colour}\" points=\"{points}\"/>\n")
    }

    fn legend(&self, place: usize, series: &Series) -> String {
        let (x, y) = (RIGHT - 70.0 * (self.series.len() - place) as f64, self.top - 4.0);
        let (from, to, text) = (x, x + 20.0, x + 26.0);
        let (colour, name, below) = (series.colour, series.name, y + 4.0);
        format!(
            "<line x1=\"{from}\" y1=\"{y}\" x2=\"{to}\" y2=\"{y}\" stroke=\"{colour}\" stroke-width=\"3\"/>\n\
             <text x=\"{text}\" y=\"{below}\">{name}</text>\n"
        )
    }
}

/// Text as XML has it. What XML cannot have is left out.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {}
            character => escaped.push(character),
        }
    }
    escaped
}
