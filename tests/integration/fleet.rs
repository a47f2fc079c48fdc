//! Several gateways behind a balancer: real programs that share a directory and a key ring, each with
//! files of its own, behind the balancers of `deploy/`.

mod clients;
mod keys;
mod kill;
mod restart;
mod site;
mod whole;

pub(crate) use site::Site;
