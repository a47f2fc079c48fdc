//! Metric families of the sinks' statistics: the sink states name, help text and type; the prefix
//! is added here.

use std::collections::BTreeMap;

use iem_sink::{Statistic, StatisticKind};
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

use super::register::PREFIX;

/// Returns one metric family for each name among a sink's statistics.
pub(super) fn families(sink: &str, statistics: &[Statistic]) -> Vec<MetricFamily> {
    let mut families: BTreeMap<&str, MetricFamily> = BTreeMap::new();
    for statistic in statistics {
        families
            .entry(statistic.name)
            .or_insert_with(|| family(sink, statistic))
            .mut_metric()
            .push(metric(statistic));
    }
    families.into_values().collect()
}

fn family(sink: &str, statistic: &Statistic) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(format!("{PREFIX}_{sink}_{}", statistic.name));
    family.set_help(statistic.help.to_owned());
    family.set_field_type(match statistic.kind {
        StatisticKind::Counter => MetricType::COUNTER,
        StatisticKind::Gauge => MetricType::GAUGE,
    });
    family
}

fn metric(statistic: &Statistic) -> Metric {
    let labels = statistic.label.map(|(name, value)| {
        let mut label = LabelPair::default();
        label.set_name(name.to_owned());
        label.set_value(value.to_owned());
        label
    });
    let mut metric = Metric::from_label(labels.into_iter().collect());
    match statistic.kind {
        StatisticKind::Counter => {
            let mut counter = Counter::default();
            counter.set_value(statistic.value);
            metric.set_counter(counter);
        }
        StatisticKind::Gauge => {
            let mut gauge = Gauge::default();
            gauge.set_value(statistic.value);
            metric.set_gauge(gauge);
        }
    }
    metric
}

#[cfg(test)]
mod tests {
    use prometheus::TextEncoder;

    use super::*;

    #[test]
    fn statistics_of_one_name_are_one_family_of_their_type() {
        let statistics = [
            Statistic::counter("errors_total", "Failed records.", 1.0).with_label("kind", "late"),
            Statistic::gauge("round_trip_seconds", "Last round trip.", 0.25),
            Statistic::counter("errors_total", "Failed records.", 2.0).with_label("kind", "other"),
        ];
        let text = TextEncoder::new()
            .encode_to_string(&families("kafka", &statistics))
            .expect("metrics as text");
        let expected = [
            "# HELP iem_gateway_kafka_errors_total Failed records.",
            "# TYPE iem_gateway_kafka_errors_total counter",
            "iem_gateway_kafka_errors_total{kind=\"late\"} 1",
            "iem_gateway_kafka_errors_total{kind=\"other\"} 2",
            "# HELP iem_gateway_kafka_round_trip_seconds Last round trip.",
            "# TYPE iem_gateway_kafka_round_trip_seconds gauge",
            "iem_gateway_kafka_round_trip_seconds 0.25",
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    }
}
