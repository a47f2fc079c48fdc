//! The sheets of the first screen below the topics.

use crate::admin::console::figures::{count, date, of_quota, rate, time};
use crate::admin::console::overview::{CertificatePart, Customers, Level, Overview, Recent};
use crate::admin::console::parts::{column, number, of, pair, sheet, told};
use crate::admin::console::verdict::RENEWAL_S;
use crate::admin::html::Html;
use crate::size;

pub(super) fn customers(html: &mut Html, customers: &Customers) {
    html.markup("<div class=\"wide\">");
    sheet(html, "customers", "Customers");
    if customers.top.is_empty() {
        html.markup(
            "<p class=\"quiet\">None has sent a record since the start.</p></section></div>\n",
        );
        return;
    }
    html.markup("<table class=\"plain\"><thead><tr>");
    column(html, "Customer", false);
    for name in ["Records/s", "Accepted", "Refused", "Of its quota"] {
        column(html, name, true);
    }
    html.markup("</tr></thead><tbody>\n");
    for part in &customers.top {
        html.markup("<tr><th scope=\"row\">");
        match &part.customer {
            Some(customer) => html.text(customer),
            None => html.markup("<i>all others</i>"),
        }
        html.markup("</th>");
        number(html, &rate(part.rate));
        number(html, &count(part.accepted));
        number(html, &count(part.refused));
        number(html, &of_quota(part.rate, part.quota));
        html.markup("</tr>\n");
    }
    html.markup("</tbody></table>");
    if customers.seen > customers.top.len() {
        html.markup("<p class=\"quiet\">");
        let (top, seen) = (customers.top.len(), count(customers.seen as u64));
        html.text(&format!(
            "The {top} of {seen} customers with the most records a second."
        ));
        html.markup("</p>");
    }
    html.markup("</section></div>\n");
}

/// Returns a count in words: of all, and of the last minute.
fn recent(recent: Recent) -> String {
    format!(
        "{}, {} in the last minute",
        count(recent.total),
        count(recent.lately)
    )
}

pub(super) fn clients(html: &mut Html, overview: &Overview) {
    let clients = &overview.clients;
    sheet(html, "clients", "Clients");
    html.markup("<dl class=\"pairs\">");
    pair(html, "Connections", &of(clients.connections));
    let http1 = clients.connections.used.saturating_sub(clients.http2);
    pair(
        html,
        "By version",
        &format!("{} HTTP/1, {} HTTP/2", count(http1), count(clients.http2)),
    );
    pair(html, "New connections/s", &rate(clients.accepted_rate));
    pair(html, "Requests/s", &rate(clients.request_rate));
    pair(html, "Answered 4xx", &recent(clients.refused));
    pair(html, "Answered 503", &recent(clients.unavailable));
    if clients.errors.total > 0 {
        pair(html, "Answered 500", &recent(clients.errors));
    }
    pair(html, "Log-ins refused", &recent(clients.log_ins_refused));
    pair(html, "Connections broken off", &recent(clients.failed));
    if clients.handshakes_failed.total > 0 {
        pair(
            html,
            "TLS handshakes failed",
            &recent(clients.handshakes_failed),
        );
    }
    let memory = overview.memory;
    pair(
        html,
        "Memory for bodies",
        &format!(
            "{} of {}",
            size::text(memory.used),
            size::text(memory.limit)
        ),
    );
    html.markup("</dl></section>\n");
}

pub(super) fn limits(html: &mut Html, overview: &Overview) {
    sheet(html, "limits", "Limits reached");
    if overview.limits.is_empty() {
        html.markup(
            "<p class=\"quiet\">No client has reached one since the start.</p></section>\n",
        );
        return;
    }
    html.markup("<table class=\"plain\"><thead><tr>");
    column(html, "Limit", false);
    column(html, "Last minute", true);
    column(html, "Since the start", true);
    html.markup("</tr></thead><tbody>\n");
    for part in &overview.limits {
        html.markup("<tr><th scope=\"row\"><code>");
        html.text(&part.limit);
        html.markup("</code></th>");
        number(html, &count(part.reached.lately));
        number(html, &count(part.reached.total));
        html.markup("</tr>\n");
    }
    html.markup("</tbody></table></section>\n");
}

pub(super) fn credentials(html: &mut Html, overview: &Overview) {
    sheet(html, "credentials", "Certificates, keys, directory");
    html.markup("<dl class=\"pairs\">");
    if overview.certificates.is_empty() {
        pair(html, "TLS", "off");
    }
    for part in &overview.certificates {
        html.markup("<dt>");
        html.text(&part.name);
        html.markup("</dt><dd>");
        let (level, words) = certificate(part);
        told(html, level, &words);
        html.markup("</dd>\n");
    }
    for key in &overview.keys {
        let made = if key.created == 0 {
            "of unknown age".to_owned()
        } else {
            format!("made {}", date(key.created))
        };
        let role = if key.signs { "signs" } else { "verifies" };
        pair(html, &format!("Key {}", key.id), &format!("{role}, {made}"));
    }
    let directory = &overview.directory;
    pair(
        html,
        "Customers in the directory",
        &count(directory.customers),
    );
    pair(html, "Users in the directory", &count(directory.users));
    html.markup("</dl></section>\n");
}

/// Returns how long a certificate still holds, in words.
fn certificate(part: &CertificatePart) -> (Level, String) {
    let date = date(part.ends);
    let left = time(part.left_s.unsigned_abs());
    match part.left_s {
        ..0 => (Level::Bad, format!("ended {date}")),
        _ if !part.is_loaded => (Level::Warning, format!("ends {date}; its files are faulty")),
        0..RENEWAL_S => (Level::Warning, format!("ends {date}, in {left}")),
        _ => (Level::Good, format!("ends {date}, in {left}")),
    }
}
