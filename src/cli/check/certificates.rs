//! Checks the files of TLS.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::SystemTime;

use iem_sink::{Finding, Level};

use crate::config::Tls;
use crate::tls::{Checked, Material};

/// Checks that the files of TLS hold, each alone and together, and who may read the key.
pub(super) fn check(tls: &Tls, http2: bool, now: SystemTime) -> Vec<Finding> {
    let mut findings = check_certificate(tls, http2, now);
    findings.push(check_key(&tls.key));
    findings
}

fn check_certificate(tls: &Tls, http2: bool, now: SystemTime) -> Vec<Finding> {
    let what = format!("certificate {}", tls.certificate.display());
    let checked = match Material::read(tls).and_then(|material| material.check(tls, http2)) {
        Ok(checked) => checked,
        Err(error) => {
            return vec![Finding {
                what,
                level: Level::Bad,
                text: error.to_string(),
            }];
        }
    };
    let Checked {
        validity,
        revocations,
        ..
    } = checked;
    let mut findings = vec![unless_weak(what, validity.weakness(now), &validity)];
    if let Some(lists) = revocations {
        let what = format!("revoked certificates {}", tls.client_crl.display());
        findings.push(unless_weak(what, lists.weakness(now), &lists));
    }
    findings
}

fn unless_weak(what: String, weakness: Option<String>, good: &impl ToString) -> Finding {
    match weakness {
        Some(text) => Finding {
            what,
            level: Level::Weak,
            text,
        },
        None => Finding {
            what,
            level: Level::Good,
            text: good.to_string(),
        },
    }
}

/// Checks which users may read the key. A group may have to, so the operator judges.
fn check_key(path: &Path) -> Finding {
    let what = format!("certificate key {}", path.display());
    match std::fs::metadata(path).map(|metadata| metadata.permissions().mode() & 0o777) {
        Ok(mode) if mode & 0o007 != 0 => Finding {
            what,
            level: Level::Weak,
            text: format!("everybody may read or change it (mode {mode:o})"),
        },
        Ok(_) => Finding {
            what,
            level: Level::Good,
            text: "holds".to_owned(),
        },
        Err(error) => Finding {
            what,
            level: Level::Bad,
            text: format!("cannot be read: {error}"),
        },
    }
}
