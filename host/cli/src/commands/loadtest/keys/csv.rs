//! Keys from comma-separated values, as RFC 4180 describes them.

use std::iter::Peekable;
use std::str::Chars;

/// A cell, and whether it stood in quotes.
type Cell = (String, bool);

/// The values of some columns, row after row. An empty cell without quotes has none.
pub(super) fn rows(text: &str, columns: &[&str]) -> Result<Vec<Vec<Option<String>>>, String> {
    let mut records = Records { rest: text.strip_prefix('\u{feff}').unwrap_or(text).chars().peekable(), line: 1 };
    let (_, header) = records.record()?.ok_or("it is empty: it begins with a line of the columns' names")?;
    let place = |column: &&str| {
        let names = || header.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
        let found = header.iter().position(|(name, _)| name == column);
        found.ok_or_else(|| format!("it has no column `{column}`: its first line names {}", names()))
    };
    let places = columns.iter().map(place).collect::<Result<Vec<_>, _>>()?;
    let mut rows = Vec::new();
    while let Some((line, record)) = records.record()? {
        if record.len() != header.len() {
            return Err(format!("line {line} has {} cells and the first line has {}", record.len(), header.len()));
        }
        let value = |place: &usize| {
            let (cell, quoted) = &record[*place];
            (*quoted || !cell.is_empty()).then(|| cell.clone())
        };
        rows.push(places.iter().map(value).collect());
    }
    Ok(rows)
}

struct Records<'a> {
    rest: Peekable<Chars<'a>>,
    line: usize,
}

impl Records<'_> {
    /// The number and the cells of the next line; lines without anything are passed over.
    fn record(&mut self) -> Result<Option<(usize, Vec<Cell>)>, String> {
        while self.end_of_line() {}
        if self.rest.peek().is_none() {
            return Ok(None);
        }
        let (begun, mut cells) = (self.line, Vec::new());
        loop {
            cells.push(self.cell()?);
            if self.rest.next_if_eq(&',').is_some() {
                continue;
            }
            if self.end_of_line() || self.rest.peek().is_none() {
                return Ok(Some((begun, cells)));
            }
            return Err(format!("line {}: something follows a closing quote", self.line));
        }
    }

    fn cell(&mut self) -> Result<Cell, String> {
        let mut cell = String::new();
        if self.rest.next_if_eq(&'"').is_none() {
            while let Some(character) = self.rest.next_if(|character| !['\n', '\r', ','].contains(character)) {
                cell.push(character);
            }
            return Ok((cell, false));
        }
        let begun = self.line;
        loop {
            match self.rest.next() {
                Some('"') if self.rest.next_if_eq(&'"').is_some() => cell.push('"'),
                Some('"') => return Ok((cell, true)),
                Some(character) => {
                    self.line += usize::from(character == '\n');
                    cell.push(character);
                }
                None => return Err(format!("line {begun}: a quote is not closed")),
            }
        }
    }

    fn end_of_line(&mut self) -> bool {
        let carriage = self.rest.next_if_eq(&'\r').is_some();
        let feed = self.rest.next_if_eq(&'\n').is_some();
        self.line += usize::from(feed);
        carriage || feed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_found_by_the_name_of_their_column() {
        let text = "x,card,note\r\n1,c-1,\"a, \"\"b\"\"\nc\"\n\n2,\"\",\n3,c-3,n";
        let rows = rows(text, &["note", "card"]).unwrap();
        let row = |note: Option<&str>, card: &str| vec![note.map(str::to_owned), Some(card.to_owned())];
        assert_eq!(rows, [row(Some("a, \"b\"\nc"), "c-1"), row(None, ""), row(Some("n"), "c-3")]);
    }

    #[test]
    fn wrong_files_say_where() {
        for (text, part) in [
            ("", "it is empty"),
            ("a,b\n1,2\n", "no column `card`: its first line names a, b"),
            ("card,b\n\nc-1\n", "line 3 has 1 cells and the first line has 2"),
            ("card\n\"c-1\nc-2\n", "line 2: a quote is not closed"),
            ("card\n\"c-1\"x\n", "line 2: something follows a closing quote"),
        ] {
            let problem = rows(text, &["card"]).unwrap_err();
            assert!(problem.contains(part), "{text}: {problem}");
        }
    }
}
