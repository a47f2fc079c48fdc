//! The application as one client's connection calls it: with the client's address and the budgets
//! of HTTP/2.

use std::cell::Cell;
use std::net::IpAddr;

use hyper::body::Incoming;
use hyper::{Request, Version};

use super::application::{Application, Client, Reply};
use super::connection::Responder;
use super::connection_budget::ConnectionPermit;
use super::fair_permits::FairPermit;
use super::proxies;
use super::shared::Shared;
use crate::identity::Peer;
use crate::telemetry::{Limit, OpenConnection};
use crate::tls::ClientCertificate;

/// The responder of one client's connection.
pub(super) struct ClientResponder<'a, A: Application> {
    pub(super) shared: &'a Shared<A>,
    pub(super) permit: &'a ConnectionPermit,
    pub(super) address: IpAddr,
    /// The address is a proxy's, which tells the client's at each request.
    pub(super) is_proxy: bool,
    /// The client's certificate, if it has one.
    pub(super) certificate: Option<ClientCertificate>,
    /// The permit of a connection over HTTP/2.
    pub(super) http2: Cell<Option<FairPermit<'a>>>,
    /// Its count among those.
    pub(super) http2_open: Cell<Option<OpenConnection>>,
    pub(super) connection: A::Connection,
}

impl<A: Application> ClientResponder<'_, A> {
    /// Returns the email of the user that the client's certificate is mapped to.
    fn certified(&self) -> Option<&str> {
        self.certificate.as_ref()?.user.as_deref()
    }

    /// Returns the peer whose connection it is; `None` for a proxy's.
    fn peer(&self) -> Option<Peer> {
        (!self.is_proxy).then(|| self.address.into())
    }

    /// Whether the client has no certificate, or one that is still accepted.
    fn has_valid_certificate(&self) -> bool {
        match (&self.certificate, &self.shared.tls) {
            (Some(certificate), Some(tls)) => tls.accepts(certificate),
            (None, _) | (_, None) => true,
        }
    }
}

impl<A: Application> Responder for ClientResponder<'_, A> {
    async fn answer(&self, request: Request<Incoming>) -> Reply {
        let _answering = self.permit.begin_answer();
        let Shared {
            application,
            server,
            http2_requests,
            ..
        } = self.shared;
        let address = if self.is_proxy {
            proxies::client_of_request(&server.proxies, self.address, request.headers())
        } else {
            self.address
        };
        let _permit = if request.version() == Version::HTTP_2 {
            let Some(permit) = http2_requests.try_acquire(Some(address.into())) else {
                self.reached(Limit::Http2Requests);
                return Reply {
                    answer: application.too_many_requests(),
                    rest: Some(request.into_body()),
                    is_last: false,
                };
            };
            Some(permit)
        } else {
            None
        };
        if !self.has_valid_certificate() {
            tracing::info!(peer = %self.address, "the client's certificate is no longer accepted");
            return Reply {
                answer: application.revoked(),
                rest: Some(request.into_body()),
                is_last: true,
            };
        }
        let client = Client {
            address,
            certified: self.certified(),
            thumbprint: self
                .certificate
                .as_ref()
                .map(|certificate| &certificate.thumbprint),
            permit: self.permit,
        };
        application.answer(request, client, &self.connection).await
    }

    fn takes_http2(&self) -> bool {
        let permit = self
            .http2
            .take()
            .or_else(|| self.shared.http2_connections.try_acquire(self.peer()));
        let takes = permit.is_some();
        self.http2.set(permit);
        if takes {
            self.http2_open
                .set(Some(self.shared.metrics.http2_opened()));
        } else {
            self.reached(Limit::Http2Connections);
        }
        takes
    }

    fn reached(&self, limit: Limit) {
        self.shared.metrics.reached(limit);
    }

    async fn told_to_leave(&self) {
        self.permit.told_to_leave().await;
    }
}
