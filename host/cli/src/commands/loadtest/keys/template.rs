//! Keys from a template, as in `card=c-{0..99999}`.

use crate::exit::{Exit, Failure, Outcome};

/// A text with ranges of numbers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Template {
    parts: Vec<Part>,
    count: u64,
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    /// Numbers from `first` on, filled with zeros to `width`.
    Range {
        first: u64,
        count: u64,
        width: usize,
    },
}

impl Template {
    /// Braces around anything but a range are text, such as those of a JSON object.
    pub(super) fn parse(text: &str) -> Outcome<Self> {
        let wrong = |problem: String| Failure::new(Exit::Usage, format!("`--key {text}`: {problem}"));
        let (mut parts, mut rest, mut count) = (Vec::new(), text, 1_u64);
        while let Some(end) = rest.find('}') {
            let is_range = |begin: &usize| rest[*begin..end].contains("..") && !rest[*begin..end].contains('"');
            let Some(begin) = rest[..end].rfind('{').filter(is_range) else {
                parts.push(Part::Text(rest[..=end].to_owned()));
                rest = &rest[end + 1..];
                continue;
            };
            parts.push(Part::Text(rest[..begin].to_owned()));
            let range = range(&rest[begin + 1..end]).map_err(wrong)?;
            let Part::Range { count: numbers, .. } = &range else { continue };
            count = count.checked_mul(*numbers).ok_or_else(|| wrong("it stands for too many keys".to_owned()))?;
            parts.push(range);
            rest = &rest[end + 1..];
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Template { parts, count })
    }

    /// How many keys it stands for.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The key in a place. The last range runs fastest.
    pub(super) fn key(&self, place: u64) -> String {
        let mut left = self.count;
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Range { first, count, width } => {
                    left /= count;
                    let number = first + place / left % count;
                    text.push_str(&format!("{number:0width$}"));
                }
            }
        }
        text
    }
}

fn range(text: &str) -> Result<Part, String> {
    let wrong = || format!("`{{{text}}}` is no range of numbers: write it as in `c-{{0..99999}}`");
    let (first, last) = text.split_once("..").ok_or_else(wrong)?;
    let width = if first.len() > 1 && first.starts_with('0') { first.len() } else { 0 };
    let number = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => text.parse::<u64>().map_err(|_| wrong()),
        false => Err(wrong()),
    };
    let (first, last) = (number(first)?, number(last)?);
    let count = last.checked_sub(first).ok_or_else(|| format!("the range `{{{text}}}` has no number in it"))?;
    Ok(Part::Range { first, count: count.checked_add(1).ok_or_else(wrong)?, width })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Vec<String> {
        let template = Template::parse(text).unwrap();
        (0..template.count()).map(|place| template.key(place)).collect()
    }

    #[test]
    fn a_template_stands_for_its_keys() {
        assert_eq!(keys("card=c-7"), ["card=c-7"]);
        assert_eq!(keys("card=c-{8..10}"), ["card=c-8", "card=c-9", "card=c-10"]);
        assert_eq!(keys("card=c-{08..10}"), ["card=c-08", "card=c-09", "card=c-10"]);
        assert_eq!(keys("a={0..1},b={2..3}x"), ["a=0,b=2x", "a=0,b=3x", "a=1,b=2x", "a=1,b=3x"]);
        assert_eq!(keys(r#"{"card": "c,{1..2}"}"#), [r#"{"card": "c,1"}"#, r#"{"card": "c,2"}"#]);
        for text in [r#"{"card": "{}"}"#, r#"{"card": "a..b"}"#] {
            assert_eq!(keys(text), [text]);
        }
    }

    #[test]
    fn wrong_templates_say_what_is_wrong() {
        for (text, part) in [
            ("card=c-{1..}", "`{1..}` is no range of numbers"),
            ("card=c-{a..z}", "`{a..z}` is no range"),
            ("card=c-{-1..1}", "`{-1..1}` is no range"),
            ("card=c-{9..1}", "the range `{9..1}` has no number"),
            ("a={0..9999999999},b={0..9999999999}", "too many keys"),
            ("a={0..18446744073709551615}", "is no range"),
        ] {
            let failure = Template::parse(text).unwrap_err();
            assert!(failure.error.to_string().contains(part), "{text}: {}", failure.error);
        }
    }
}
