//! Throughput, cost and waits against load, as SVG.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;

use super::case::{Group, Part};
use super::figures::{Figures, Report};

type Point = (f64, f64);
/// A figure of a side.
type Figure = fn(&Figures) -> Option<f64>;

struct Plot {
    name: &'static str,
    group: Group,
    title: &'static str,
    axes: [&'static str; 2],
    figures: &'static [(&'static str, Figure)],
}

const PLOTS: [Plot; 4] = [
    Plot {
        name: "throughput",
        group: Group::Connections,
        title: "Requests a second, closed loop",
        axes: ["connections", "requests a second"],
        figures: &[("", |side| Some(side.requests_per_second))],
    },
    Plot {
        name: "latency",
        group: Group::Connections,
        title: "Latency, closed loop",
        axes: ["connections", "µs"],
        figures: &[
            (" p50", |side| side.waits.map(|waits| waits.p50)),
            (" p99", |side| side.waits.map(|waits| waits.p99)),
        ],
    },
    Plot {
        name: "rate",
        group: Group::Rates,
        title: "Latency from the intended time, constant arrival rate",
        axes: ["requests a second", "µs"],
        figures: &[
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
        figures: &[("", |side| Some(side.request_cpu_micros))],
    },
];

/// Draws what there are points for. Gives back the names of the files.
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

/// A line for each side and figure. Only files without a sync have more than one point.
fn series(plot: &Plot, reports: &[Report]) -> Vec<(String, Vec<Point>)> {
    let reports: Vec<&Report> = reports
        .iter()
        .filter(|report| report.group == plot.group && report.name.starts_with("file: "))
        .collect();
    let mut series = Vec::new();
    for (name, part) in [("gateway", Part::Subject), ("bare hyper", Part::Base)] {
        for (figure, value) in plot.figures {
            let point = |report: &&Report| {
                let side = report.sides.iter().find(|side| side.part == part)?;
                Some((side.rate.or(report.at)?, value(side)?))
            };
            series.push((
                format!("{name}{figure}"),
                reports.iter().filter_map(point).collect(),
            ));
        }
    }
    series
}

fn draw(plot: &Plot, series: &[(String, Vec<Point>)], path: &Path) -> Result<(), Box<dyn Error>> {
    let points = || series.iter().flat_map(|(_, points)| points);
    let range = |of: fn(&Point) -> f64| {
        let low = points().map(of).fold(f64::INFINITY, f64::min);
        let high = points().map(of).fold(0.0, f64::max);
        low / 1.3..high * 1.3
    };
    let (x, y) = (range(|point| point.0), range(|point| point.1));
    let root = SVGBackend::new(path, (900, 560)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(plot.title, ("sans-serif", 22))
        .margin(16)
        .x_label_area_size(48)
        .y_label_area_size(80)
        .build_cartesian_2d(x.log_scale(), y.log_scale())?;
    let number = |number: &f64| number.to_string();
    let mut mesh = chart.configure_mesh();
    mesh.x_desc(plot.axes[0]).y_desc(plot.axes[1]);
    mesh.x_label_formatter(&number)
        .y_label_formatter(&number)
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
    let position = SeriesLabelPosition::UpperLeft;
    chart
        .configure_series_labels()
        .position(position)
        .background_style(WHITE)
        .border_style(BLACK)
        .draw()?;
    root.present()?;
    Ok(())
}
