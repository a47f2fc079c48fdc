//! The log-in of browsers: a page with a form, which works without a script, and the log-out.

use hyper::Method;
use hyper::header::SET_COOKIE;

use super::access::{Access, CSRF_FIELD, Viewer};
use super::answer::{HTML, not_stored, page, redirect};
use super::html::Html;
use super::inbound::Inbound;
use super::refusal::Refusal;
use super::return_path::return_path;
use crate::http::api::Rejection;
use crate::http::transport::Answer;
use crate::identity::authentication::Basic;
use crate::identity::password::Password;
use crate::telemetry::Endpoint;

/// The policy for browsers: they show the page, and send its form here.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'self'; \
                      frame-ancestors 'none'";
/// Bytes of a form. Who sends it has shown nothing yet.
const FORM_BYTES_MAX: usize = 4096;
/// The parameter, and the field, with the path that the log-in leads back to.
const NEXT: &str = "next";

/// Answers `/login`: shows the form, or takes it.
pub(super) async fn log_in(access: &Access, request: &mut Inbound<'_>) -> Result<Answer, Refusal> {
    if request.head.method == Method::POST {
        return submitted(access, request).await;
    }
    let query = request.head.uri.query().unwrap_or_default();
    let mut parameters = form_urlencoded::parse(query.as_bytes());
    let next = parameters.find(|(name, _)| name == NEXT);
    let next = next.map_or("/".to_owned(), |(_, next)| checked(&next));
    // A browser keeps the cookie back from a link on another site, and sends it now.
    if access.superadmin(request).is_ok() {
        return Ok(redirect(&next));
    }
    Ok(form(&next, None))
}

async fn submitted(access: &Access, request: &mut Inbound<'_>) -> Result<Answer, Refusal> {
    Access::check_site(request)?;
    let fields = request.form(FORM_BYTES_MAX).await?;
    let next = checked(&fields.field(NEXT).unwrap_or_default());
    let basic = Basic {
        user: fields.field("email").unwrap_or_default(),
        password: Password::new(fields.field("password").unwrap_or_default()),
    };
    drop(fields);
    match access.log_in(request, &basic).await {
        Ok(cookie) => {
            let mut answer = redirect(&next);
            answer.headers_mut().insert(SET_COOKIE, cookie);
            Ok(answer)
        }
        Err(Refusal::Rejection(rejection)) => Ok(refused(rejection, &next)),
        Err(refusal) => Err(refusal),
    }
}

/// Answers `/logout`, which a form on one of our pages asks for. A browser without a session is sent
/// to the log-in alike.
pub(super) async fn log_out(access: &Access, request: &mut Inbound<'_>) -> Result<Answer, Refusal> {
    Access::check_site(request)?;
    let fields = request.form(FORM_BYTES_MAX).await?;
    if let Ok(user) = access.superadmin(request) {
        let field = fields.field(CSRF_FIELD);
        Access::may_change(request, &Viewer::User(user), field.as_deref())?;
    }
    let mut answer = redirect("/login");
    let cookie = access.log_out(request);
    answer.headers_mut().insert(SET_COOKIE, cookie);
    Ok(answer)
}

/// Returns the path if a browser may be sent there, else that of the first page.
fn checked(next: &str) -> String {
    return_path(next).unwrap_or("/").to_owned()
}

/// Returns the form again, with the reason why the log-in was refused. It does not tell whether there
/// is such a user.
fn refused(rejection: Rejection, next: &str) -> Answer {
    let text = rejection.text();
    let (head, _) = rejection.into_answer(Endpoint::Other).into_parts();
    let (form_head, body) = form(next, Some(&text)).into_parts();
    let mut answer = Answer::from_parts(head, body);
    answer.headers_mut().extend(form_head.headers);
    answer
}

/// Returns the page with the form.
fn form(next: &str, refusal: Option<&str>) -> Answer {
    let mut html = Html::default();
    html.begin("Log in - IEM gateway", "");
    html.markup("<body class=\"login\">\n<main>\n<h1>IEM gateway</h1>\n");
    if let Some(refusal) = refusal {
        html.markup("<p role=\"alert\">");
        html.text(refusal);
        html.markup("</p>\n");
    }
    html.markup(
        "<form method=\"post\" action=\"/login\">\n\
         <label for=\"email\">Email</label>\n\
         <input id=\"email\" name=\"email\" type=\"text\" inputmode=\"email\" \
         autocomplete=\"username\" autocapitalize=\"none\" spellcheck=\"false\" required autofocus>\n\
         <label for=\"password\">Password</label>\n\
         <input id=\"password\" name=\"password\" type=\"password\" \
         autocomplete=\"current-password\" required>\n\
         <input type=\"hidden\" name=\"next\" value=\"",
    );
    html.text(next);
    html.markup(
        "\">\n<button type=\"submit\">Log in</button>\n</form>\n\
         <p>Superadmins alone may log in. Have you done so? <a href=\"",
    );
    html.text(next);
    html.markup("\">Go on</a></p>\n</main>\n</body>\n</html>\n");
    not_stored(page(html.into_string(), HTML, POLICY))
}

#[cfg(test)]
mod tests {
    use hyper::header::{CONTENT_TYPE, HeaderValue};

    use super::*;

    #[test]
    fn a_rejection_keeps_its_status_and_is_shown_on_the_page() {
        let answer = refused(Rejection::LoginsBusy, "/");
        assert_eq!(answer.status(), 503);
        assert!(answer.headers().contains_key("retry-after"));
        assert_eq!(
            answer.headers()[CONTENT_TYPE],
            HeaderValue::from_static(HTML)
        );
        assert_eq!(answer.headers().get_all(CONTENT_TYPE).iter().count(), 1);
    }

    #[test]
    fn no_way_back_leads_elsewhere() {
        assert_eq!(checked("/metrics"), "/metrics");
        assert_eq!(checked("//evil.example"), "/");
        assert_eq!(checked(""), "/");
    }
}
