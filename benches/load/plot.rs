//! SVG plots of throughput, cost and waits against load.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;

use super::case::{Group, Part};
use super::statistics::{Report, Statistics};

type Point = (f64, f64);
/// A number of a side's statistics.
type Value = fn(&Statistics) -> Option<f64>;

struct Plot {
    name: &'static str,
    group: Group,
    title: &'static str,
    axes: [&'static str; 2],
    values: &'static [(&'static str, Value)],
}

const PLOTS: [Plot; 4] = [
    Plot {
        name: "throughput",
        group: Group::Connections,
        title: "Requests a second, closed loop",
        axes: ["connections", "requests a second"],
        values: &[("", |side| Some(side.requests_per_second))],
    },
    Plot {
        name: "latency",
        group: Group::Connections,
        title: "Latency, closed loop",
        axes: ["connections", "µs"],
        values: &[
            (" p50", |side| side.waits.map(|waits| waits.p50)),
            (" p99", |side| side.waits.map(|waits| waits.p99)),
        ],
    },
    Plot {
        name: "rate",
        group: Group::Rates,
        title: "Latency from the intended time, constant arrival rate",
        axes: ["requests a second", "µs"],
        values: &[
            (" p50", |side| side.waits.map(|waits| waits.p50)),
            (" p99", |side| side.waits.map(|waits| waits.p99)),
            (" p99.9", |side| side.waits.map(|waits| waits.p999)),
        ],
    },
    Plot {
        name: "sizes",
        group: Group::Sizes,
        title: "CPU time a request",
        axes: ["bytes of a record", "µs"],
        values: &[("", |side| Some(side.request_cpu_micros))],
    },
];

/// Draws each plot that has a line of several points. Returns the names of the files.
pub fn all(reports: &[Report], folder: &Path, stem: &str) -> Result<Vec<String>, Box<dyn Error>> {
    let mut names = Vec::new();
    for plot in PLOTS {
        let series = series(&plot, reports);
        if series.iter().any(|(_, points)| points.len() > 1) {
            let name = format!("{stem}-{}.svg", plot.name);
            draw(&plot, &series, &folder.join(&name))?;
            names.push(name);
        }
    }
    Ok(names)
}

/// Returns a line for each side and value, from the cases of files without a sync: only those have
/// several points.
fn series(plot: &Plot, reports: &[Report]) -> Vec<(String, Vec<Point>)> {
    let reports: Vec<&Report> = reports
        .iter()
        .filter(|report| report.group == plot.group && report.name.starts_with("file: "))
        .collect();
    let mut series = Vec::new();
    for (name, part) in [("gateway", Part::Subject), ("bare hyper", Part::Base)] {
        for (suffix, value) in plot.values {
            let points = reports
                .iter()
                .filter_map(|report| {
                    let side = report.sides.iter().find(|side| side.part == part)?;
                    Some((side.rate.or(report.at)?, value(side)?))
                })
                .collect();
            series.push((format!("{name}{suffix}"), points));
        }
    }
    series
}

fn draw(plot: &Plot, series: &[(String, Vec<Point>)], path: &Path) -> Result<(), Box<dyn Error>> {
    let points = || series.iter().flat_map(|(_, points)| points);
    let range = |coordinate: fn(&Point) -> f64| {
        let low = points().map(coordinate).fold(f64::INFINITY, f64::min);
        let high = points().map(coordinate).fold(0.0, f64::max);
        low / 1.3..high * 1.3
    };
    let x = range(|point| point.0);
    let y = range(|point| point.1);
    let root = SVGBackend::new(path, (900, 560)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(plot.title, ("sans-serif", 22))
        .margin(16)
        .x_label_area_size(48)
        .y_label_area_size(80)
        .build_cartesian_2d(x.log_scale(), y.log_scale())?;
    chart
        .configure_mesh()
        .x_desc(plot.axes[0])
        .y_desc(plot.axes[1])
        .x_label_formatter(&f64::to_string)
        .y_label_formatter(&f64::to_string)
        .draw()?;
    for (index, (name, points)) in series.iter().enumerate() {
        let colour = Palette99::pick(index).to_rgba();
        chart
            .draw_series(
                LineSeries::new(points.iter().copied(), colour.stroke_width(2)).point_size(3),
            )?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE)
        .border_style(BLACK)
        .draw()?;
    root.present()?;
    Ok(())
}
