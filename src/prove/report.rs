//! The result of a run: for people, and as JSON for programs.

use std::io::{self, Write};
use std::path::PathBuf;

use serde_json::{Value, json};

use super::error::ProveError;
use super::fault::{Course, described};
use super::latency::Percentiles;
use super::load::Outcome;
use super::oracle::Verdict;

/// The result of a run, or of a reading alone.
pub struct Report {
    /// The run's id.
    pub run: String,
    /// The file of acknowledged records.
    pub file: PathBuf,
    /// The load; `None` for a reading alone.
    pub load: Option<LoadReport>,
    /// The verdict on the records, or the reason why there is none.
    pub verdict: Result<Verdict, ProveError>,
}

/// The load, and its surroundings.
pub struct LoadReport {
    /// The records of a request.
    pub records_a_request: u32,
    /// The course of each fault.
    pub faults: Vec<Course>,
    /// The requests and their answers.
    pub outcome: Outcome,
}

impl Report {
    /// Returns whether it is proven that no acknowledged record is missing.
    pub fn is_proven(&self) -> bool {
        let verdict = self.verdict.as_ref();
        verdict.is_ok_and(|verdict| verdict.acknowledged > 0 && verdict.lost == 0)
    }

    /// Writes the result for people.
    pub fn write_text(&self, out: &mut impl Write) -> io::Result<()> {
        let mut line = |label: &str, text: &str| writeln!(out, "{label:<14} {text}");
        line("run", &self.run)?;
        line("file", &self.file.display().to_string())?;
        if let Some(load) = &self.load {
            load.write_text(&mut line)?;
        }
        match &self.verdict {
            Ok(verdict) => write_verdict(verdict, &mut line)?,
            Err(error) => line("not known", &error.to_string())?,
        }
        let has_failed_fault = self.load.as_ref().is_some_and(LoadReport::has_failed_fault);
        if has_failed_fault {
            writeln!(
                out,
                "A fault's command failed: the run may not have met that fault."
            )?;
        }
        writeln!(out, "{}", self.conclusion())
    }

    fn conclusion(&self) -> &'static str {
        match &self.verdict {
            Err(_) => "Nothing is proven: what the sink holds is not known.",
            Ok(verdict) if verdict.lost > 0 => "Acknowledged records are missing.",
            Ok(verdict) if verdict.acknowledged == 0 => {
                "Nothing is proven: no record was acknowledged."
            }
            Ok(_) => "No acknowledged record is missing.",
        }
    }

    /// Writes the result for programs.
    pub fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{:#}", self.json())
    }

    fn json(&self) -> Value {
        let records = self.verdict.as_ref().ok().map(|verdict| {
            let first_lost: Vec<_> = verdict.first_lost.iter().map(ToString::to_string).collect();
            json!({
                "acknowledged": verdict.acknowledged,
                "lost": verdict.lost,
                "first_lost": first_lost,
                "twice": verdict.twice,
                "out_of_order": verdict.out_of_order,
                "unacknowledged": verdict.unacknowledged,
            })
        });
        json!({
            "proven": self.is_proven(),
            "conclusion": self.conclusion(),
            "error": self.verdict.as_ref().err().map(ToString::to_string),
            "run": self.run,
            "file": self.file.display().to_string(),
            "records": records,
            "load": self.load.as_ref().map(LoadReport::json),
        })
    }
}

impl LoadReport {
    fn has_failed_fault(&self) -> bool {
        self.faults.iter().any(|course| course.state.is_failure())
    }

    fn write_text(&self, line: &mut impl FnMut(&str, &str) -> io::Result<()>) -> io::Result<()> {
        let Outcome {
            due,
            not_sent,
            tally,
            took,
        } = &self.outcome;
        let counted = |requests: u64| match self.records_a_request {
            1 => format!("{requests} requests"),
            records => format!(
                "{requests} requests, {} records",
                requests * u64::from(records)
            ),
        };
        line(
            "due",
            &format!("{} within {:.1} s", counted(*due), took.as_secs_f64()),
        )?;
        line("sent", &counted(tally.sent))?;
        let reason = if *not_sent > 0 {
            ": too many were in flight"
        } else {
            ""
        };
        line("not in time", &format!("{}{reason}", counted(*not_sent)))?;
        for (status, answers) in &tally.answers {
            let text = format!("{}: {}", counted(answers.requests), answers.message);
            line(&status.to_string(), &text)?;
        }
        let first = tally.first_error.as_ref();
        let first = first.map_or(String::new(), |error| format!("; the first: {error}"));
        let unanswered = format!(
            "{} connection errors, {} time-outs{first}",
            tally.connection_errors, tally.time_outs
        );
        line("not answered", &unanswered)?;
        line("time to 200", &times(&tally.acknowledged.percentiles()))?;
        line("to the others", &times(&tally.refused.percentiles()))?;
        for course in &self.faults {
            let took = course
                .took_s
                .map_or(String::new(), |took| format!(" after {took:.1} s"));
            let state = described(&course.state);
            let text = format!("at {:.1} s {state}{took}: {}", course.at_s, course.command);
            line("fault", &text)?;
        }
        Ok(())
    }

    fn json(&self) -> Value {
        let Outcome {
            due,
            not_sent,
            tally,
            took,
        } = &self.outcome;
        let answers: serde_json::Map<String, Value> = tally
            .answers
            .iter()
            .map(|(status, answers)| {
                let value = json!({ "requests": answers.requests, "message": answers.message });
                (status.to_string(), value)
            })
            .collect();
        json!({
            "seconds": took.as_secs_f64(),
            "records_a_request": self.records_a_request,
            "requests": {
                "due": due,
                "sent": tally.sent,
                "not_sent_in_time": not_sent,
                "answers": answers,
                "connection_errors": tally.connection_errors,
                "time_outs": tally.time_outs,
                "first_error": tally.first_error,
            },
            "latency": {
                "acknowledged": tally.acknowledged.percentiles(),
                "others": tally.refused.percentiles(),
            },
            "faults": self.faults,
        })
    }
}

fn write_verdict(
    verdict: &Verdict,
    line: &mut impl FnMut(&str, &str) -> io::Result<()>,
) -> io::Result<()> {
    let records = |count: u64| format!("{count} records");
    line("acknowledged", &records(verdict.acknowledged))?;
    let named: Vec<String> = verdict.first_lost.iter().map(ToString::to_string).collect();
    let more = if verdict.lost > named.len() as u64 {
        " …"
    } else {
        ""
    };
    let lost = match verdict.lost {
        0 => records(0),
        count => format!("{}: {}{more}", records(count), named.join(" ")),
    };
    line("lost", &lost)?;
    line("twice", &records(verdict.twice))?;
    line("out of order", &records(verdict.out_of_order))?;
    let unacknowledged = format!("{} are there", records(verdict.unacknowledged));
    line("unacknowledged", &unacknowledged)
}

fn times(percentiles: &Percentiles) -> String {
    let Percentiles {
        count,
        p50_ms,
        p99_ms,
        p99_9_ms,
        max_ms,
    } = percentiles;
    if *count == 0 {
        return "0 requests".to_owned();
    }
    format!(
        "{count} requests: p50 {p50_ms:.1} ms, p99 {p99_ms:.1} ms, p99.9 {p99_9_ms:.1} ms, \
         max {max_ms:.1} ms"
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::fault::State;
    use super::super::mark::Mark;
    use super::*;

    fn verdict(acknowledged: u64, lost: u64) -> Verdict {
        let first_lost = (0..lost.min(10)).map(|_| Mark { key: 3, number: 7 });
        Verdict {
            acknowledged,
            lost,
            first_lost: first_lost.collect(),
            twice: 2,
            out_of_order: 1,
            unacknowledged: 4,
        }
    }

    fn report(verdict: Result<Verdict, ProveError>, state: State) -> Report {
        let course = Course {
            command: "kill it".to_owned(),
            at_s: 1.0,
            took_s: Some(0.5),
            state,
        };
        Report {
            run: "r".to_owned(),
            file: "acknowledged".into(),
            load: Some(LoadReport {
                records_a_request: 2,
                faults: vec![course],
                outcome: Outcome {
                    due: 12,
                    not_sent: 2,
                    tally: super::super::tally::Tally {
                        sent: 10,
                        ..Default::default()
                    },
                    took: Duration::from_secs(1),
                },
            }),
            verdict,
        }
    }

    fn text(report: &Report) -> String {
        let mut out = Vec::new();
        report.write_text(&mut out).expect("write");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn only_a_verdict_on_acknowledged_records_is_a_proof() {
        let check = |verdict, is_proven, words: &str| {
            let report = report(verdict, State::Exited(0));
            assert_eq!(report.is_proven(), is_proven, "{}", text(&report));
            assert_eq!(report.json()["proven"], is_proven);
            assert!(text(&report).contains(words), "{}", text(&report));
        };
        check(
            Ok(verdict(9, 0)),
            true,
            "No acknowledged record is missing.",
        );
        check(Ok(verdict(9, 1)), false, "1 records: 3/7\n");
        check(Ok(verdict(90, 11)), false, "3/7 …\n");
        check(Ok(verdict(0, 0)), false, "no record was acknowledged");
        check(Err(ProveError::AlreadyRead), false, "Nothing is proven");
    }

    #[test]
    fn a_fault_that_failed_is_told_beside_the_verdict() {
        let failed = report(Ok(verdict(9, 0)), State::Exited(1));
        assert!(failed.is_proven());
        let text = text(&failed);
        assert!(
            text.contains("at 1.0 s ended with status 1 after 0.5 s: kill it"),
            "{text}"
        );
        assert!(text.contains("A fault's command failed"), "{text}");
        let json = failed.json();
        assert_eq!(json["load"]["faults"][0]["state"]["exited"], 1);
        assert_eq!(json["load"]["requests"]["not_sent_in_time"], 2);
    }
}
