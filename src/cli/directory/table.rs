//! Tables for people: columns as wide as their widest cell.

use std::io::{self, Write};

/// Writes `header` and `rows`, two spaces between columns.
pub(super) fn write<const N: usize>(
    out: &mut dyn Write,
    header: [&str; N],
    rows: Vec<[String; N]>,
) -> io::Result<()> {
    let rows: Vec<_> = std::iter::once(header.map(ToOwned::to_owned))
        .chain(rows)
        .collect();
    let widths: [usize; N] = std::array::from_fn(|column| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or_default()
    });
    for row in rows {
        let cells = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

/// Formats a flag as `yes` or `no`.
pub(super) fn yes_or_no(flag: bool) -> String {
    if flag { "yes" } else { "no" }.to_owned()
}
