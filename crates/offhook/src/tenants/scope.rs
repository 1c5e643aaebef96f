//! How far a request reaches: to all calls, or to those of one tenant.

use std::sync::Arc;

/// Whose credentials a request has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Whoever runs the server: all calls.
    #[default]
    Operator,
    /// A tenant: its own calls, and nothing of anybody else's.
    Tenant(Arc<str>),
}

impl Scope {
    /// Whether calls of this tenant are within reach; those of no tenant, whose name is empty, are the operator's.
    pub(crate) fn sees(&self, tenant: &str) -> bool {
        match self {
            Self::Operator => true,
            Self::Tenant(own) => **own == *tenant,
        }
    }

    /// The tenant's name; empty for the operator.
    pub(crate) fn tenant(&self) -> &str {
        match self {
            Self::Operator => "",
            Self::Tenant(own) => own,
        }
    }

    /// The tenant's name, if it is one's.
    pub(crate) fn only(&self) -> Option<&str> {
        match self {
            Self::Operator => None,
            Self::Tenant(own) => Some(own),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_sees_its_own_calls_alone() {
        let own = Scope::Tenant("blue".into());
        assert!(own.sees("blue") && !own.sees("red") && !own.sees("") && !own.sees("blue2"));
        assert!(Scope::Operator.sees("") && Scope::Operator.sees("blue"));
        assert_eq!((own.tenant(), own.only(), Scope::Operator.only()), ("blue", Some("blue"), None));
    }
}
