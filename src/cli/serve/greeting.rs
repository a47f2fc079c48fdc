//! The words of a first start: the user that was made, and requests to try.

use std::io::{self, Write};
use std::net::SocketAddr;

use crate::identity::directory::first::FirstUser;

/// Prints the first user, whose password is nowhere else in the clear.
pub(super) fn introduce(out: &mut impl Write, first: &FirstUser) -> io::Result<()> {
    let FirstUser {
        email,
        password,
        customer,
        ..
    } = first;
    writeln!(
        out,
        "First start: made customer {customer} and API user {email}."
    )?;
    writeln!(
        out,
        "Its password, shown this once: {}\n",
        password.reveal()
    )?;
    out.flush()
}

/// Prints first requests to try, ready to be pasted.
pub(super) fn suggest(
    out: &mut impl Write,
    first: &FirstUser,
    address: SocketAddr,
) -> io::Result<()> {
    let FirstUser {
        email,
        password,
        customer,
        integration,
    } = first;
    let password = password.reveal();
    writeln!(
        out,
        r#"To try it, paste into another terminal:

TOKEN=$(curl -s -X POST -u '{email}:{password}' http://{address}/api/v1/user/token | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
curl -H "Cookie: access_token=$TOKEN" -d '{{"envcustomerid":"{customer}","entityid":"web-01","severity":"4","description":"CPU above 95 %"}}' http://{address}/publish/allevents/
curl -H "Cookie: access_token=$TOKEN" -d '{{"state":6,"sysid":"9d385017c611228701d22104cc95c371"}}' 'http://{address}/gbp/push/{customer}?integrationid={integration}'
"#
    )?;
    out.flush()
}
