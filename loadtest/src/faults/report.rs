//! The table of figures, for people and for the documentation.

use super::load::Part;
use anyhow::{Context, Result};
use std::fmt::Write as _;
use std::path::Path;

/// Between these lines of a document the table stands.
const MARKS: [&str; 2] = ["<!-- faults: begin -->", "<!-- faults: end -->"];

/// What came of one row.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) part: Option<Part>,
    /// What a scene showed, where no load was measured.
    pub(crate) shown: String,
    /// Seconds that were allowed.
    pub(crate) within: [f64; 2],
    pub(crate) wrong: Option<String>,
    /// Why it was not tried.
    pub(crate) skipped: Option<&'static str>,
}

/// The tables, in Markdown.
pub(crate) fn tables(rows: &[Row], about: &str) -> String {
    let mut text = format!("{about}\n\n");
    text += "| fault | messages | deliveries | lost | doubled | disordered | shown to others | repeated | \
             connections lost | median ms | slowest s | allowed s |\n";
    text += "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n";
    for row in rows {
        let Some(part) = &row.part else { continue };
        let both = |of: [f64; 2], digits: usize| match of[0] > 0.0 {
            true => format!("{:.digits$}, {:.digits$}", of[0], of[1]),
            false => format!("{:.digits$}", of[1]),
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {:.1} | {} | {} |",
            row.name,
            part.acknowledged,
            part.delivered,
            part.lost,
            part.doubled,
            part.disordered,
            part.leaked,
            part.repeated,
            part.reconnects,
            part.median,
            both(part.slowest, 1),
            both(row.within, 0),
        );
    }
    text += "\n| scene | what was seen |\n|---|---|\n";
    for row in rows.iter().filter(|row| row.part.is_none()) {
        let _ = writeln!(text, "| {} | {} |", row.name, row.skipped.unwrap_or(&row.shown));
    }
    text
}

/// One line as soon as a row is done.
pub(crate) fn line(row: &Row) -> String {
    let state = match (&row.wrong, row.skipped) {
        (Some(wrong), _) => format!("WRONG: {wrong}"),
        (None, Some(why)) => format!("skipped: {why}"),
        (None, None) => "ok".to_owned(),
    };
    let figures = row.part.as_ref().map_or(row.shown.clone(), |part| {
        format!(
            "{} messages in {:.0} s, median {:.1} ms, slowest {:.1} s, {} repeated, {} connections lost",
            part.acknowledged,
            part.seconds,
            part.median,
            part.slowest[0].max(part.slowest[1]),
            part.repeated,
            part.reconnects
        )
    });
    format!("{:<26} {state}; {figures}", row.name)
}

/// Puts the tables into a document, between its marks.
pub(crate) fn write(path: &Path, tables: &str) -> Result<()> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let marks = || format!("{} has no lines \"{}\" and \"{}\"", path.display(), MARKS[0], MARKS[1]);
    let (before, rest) = text.split_once(MARKS[0]).with_context(marks)?;
    let (_, after) = rest.split_once(MARKS[1]).with_context(marks)?;
    std::fs::write(path, format!("{before}{}\n\n{tables}\n{}{after}", MARKS[0], MARKS[1]))?;
    Ok(())
}
