//! Who may have signed a webhook: the server's own account, or a tenant's.

use std::sync::Arc;

use offhook_twilio::signature::{Keys, Params, Refused, Signed};

use super::Scope;

/// The keys of all accounts, each with whose they are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signers {
    own: Keys,
    tenants: Vec<(Arc<str>, Keys)>,
}

impl Signers {
    /// Of the server's own account, and of tenants that have one.
    pub(crate) fn new(own: Keys, tenants: Vec<(Arc<str>, Keys)>) -> Self {
        Self { own, tenants: tenants.into_iter().filter(|(_, keys)| !keys.is_empty()).collect() }
    }

    /// Whether there is none: nothing can be checked.
    pub(crate) fn is_empty(&self) -> bool {
        self.own.is_empty() && self.tenants.is_empty()
    }

    /// Whose key signed a webhook request.
    ///
    /// # Errors
    /// None of the keys did: what the server's own account says of it, or, without one, the last tenant's.
    pub(crate) fn check(
        &self,
        signed: &Signed,
        url: &str,
        params: &Params,
        body: Option<&[u8]>,
    ) -> Result<Scope, Refused> {
        self.any(|keys| keys.check(signed, url, params, body))
    }

    /// Whose key signed a WebSocket's upgrade.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub(crate) fn check_upgrade(&self, signed: &Signed, url: &str) -> Result<Scope, Refused> {
        self.any(|keys| keys.check_upgrade(signed, url))
    }

    fn any(&self, check: impl Fn(&Keys) -> Result<(), Refused>) -> Result<Scope, Refused> {
        let mut why = Refused::UnknownKey;
        if !self.own.is_empty() {
            match check(&self.own) {
                Ok(()) => return Ok(Scope::Operator),
                Err(refused) => why = refused,
            }
        }
        for (tenant, keys) in &self.tenants {
            match check(keys) {
                Ok(()) => return Ok(Scope::Tenant(Arc::clone(tenant))),
                // A key that isn't there says less than a signature that isn't right.
                Err(Refused::UnknownKey) => {}
                Err(refused) => why = refused,
            }
        }
        Err(why)
    }
}

#[cfg(test)]
mod tests {
    use offhook_twilio::signature::{AuthToken, sign};

    use super::*;

    #[test]
    fn the_account_that_signed_is_told() {
        let token = |text: &str| AuthToken::new(text);
        let keys = |text: &str| Keys::new(vec![token(text)], Vec::new());
        let all =
            Signers::new(keys("own"), vec![("blue".into(), keys("b")), ("red".into(), Keys::default())]);
        let url = "https://voice.example.com/voice";
        let by = |text: &str| {
            let signed = Signed::read(Some(&sign(&token(text), url, &[])), None).unwrap();
            all.check(&signed, url, &[], None)
        };
        assert_eq!(by("own"), Ok(Scope::Operator));
        assert_eq!(by("b"), Ok(Scope::Tenant("blue".into())));
        assert_eq!(by("r"), Err(Refused::Wrong));
        assert!(
            !all.is_empty()
                && Signers::new(Keys::default(), vec![("red".into(), Keys::default())]).is_empty()
        );
    }
}
