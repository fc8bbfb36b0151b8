//! Effective values of authentication.

use k8s_openapi::api::core::v1::SecretKeySelector;

use super::{named, text};
use crate::api::defaults::{ACCESS_TOKEN_DURATION, ADMIN_USERNAME, REFRESH_TOKEN_DURATION};
use crate::api::{DittoServerSpec, KerberosSpec, LdapSpec, MachineAccountSpec};

/// Identity.
impl DittoServerSpec {
    /// Secret and key of the user's own signing key. `None`: the operator generates one.
    #[must_use]
    pub fn jwt_secret_ref(&self) -> Option<&SecretKeySelector> {
        named(self.identity.as_ref()?.jwt.as_ref().map(|jwt| &jwt.secret_ref))
    }

    /// Lifetime of an access token, a Go duration.
    #[must_use]
    pub fn access_token_duration(&self) -> &str {
        let jwt = self.identity.as_ref().and_then(|identity| identity.jwt.as_ref());
        text(
            jwt.and_then(|jwt| jwt.access_token_duration.as_ref()),
            ACCESS_TOKEN_DURATION,
        )
    }

    /// Lifetime of a refresh token, a Go duration.
    #[must_use]
    pub fn refresh_token_duration(&self) -> &str {
        let jwt = self.identity.as_ref().and_then(|identity| identity.jwt.as_ref());
        text(
            jwt.and_then(|jwt| jwt.refresh_token_duration.as_ref()),
            REFRESH_TOKEN_DURATION,
        )
    }

    /// Name of the admin user in the configuration. The server ignores it.
    #[must_use]
    pub fn admin_username(&self) -> &str {
        let admin = self
            .identity
            .as_ref()
            .and_then(|identity| identity.admin.as_ref());
        text(admin.and_then(|admin| admin.username.as_ref()), ADMIN_USERNAME)
    }

    /// Secret and key of the user's own initial password. `None`: the operator generates one.
    #[must_use]
    pub fn admin_password_ref(&self) -> Option<&SecretKeySelector> {
        named(
            self.identity
                .as_ref()?
                .admin
                .as_ref()?
                .password_secret_ref
                .as_ref(),
        )
    }

    /// The LDAP block, even if it is disabled.
    #[must_use]
    pub fn ldap(&self) -> Option<&LdapSpec> {
        self.identity.as_ref()?.ldap.as_ref()
    }

    /// Secret and key of the CA of the directory, even if LDAP is disabled.
    #[must_use]
    pub fn ldap_ca_ref(&self) -> Option<&SecretKeySelector> {
        named(self.ldap()?.ca_secret_ref.as_ref())
    }

    /// Secret and key of the LDAP bind password, even if LDAP is disabled.
    #[must_use]
    pub fn ldap_bind_password_ref(&self) -> Option<&SecretKeySelector> {
        named(self.ldap()?.bind_password_secret_ref.as_ref())
    }

    /// The Kerberos block, if it is enabled.
    #[must_use]
    pub fn kerberos(&self) -> Option<&KerberosSpec> {
        self.identity
            .as_ref()?
            .kerberos
            .as_ref()
            .filter(|kerberos| kerberos.enabled)
    }

    /// The machine account, if it and Kerberos are enabled.
    #[must_use]
    pub fn machine_account(&self) -> Option<&MachineAccountSpec> {
        self.kerberos()?
            .machine_account
            .as_ref()
            .filter(|account| account.enabled)
    }
}

/// References of the Kerberos block.
impl KerberosSpec {
    /// Secret and key of the keytab.
    #[must_use]
    pub fn keytab_ref(&self) -> Option<&SecretKeySelector> {
        named(self.keytab_secret_ref.as_ref())
    }

    /// Secret and key of `krb5.conf`.
    #[must_use]
    pub fn krb5_conf_ref(&self) -> Option<&SecretKeySelector> {
        named(self.krb5_conf_secret_ref.as_ref())
    }
}

/// References of the machine account.
impl MachineAccountSpec {
    /// Secret and key of the account's password.
    #[must_use]
    pub fn password_ref(&self) -> Option<&SecretKeySelector> {
        named(self.secret_ref.as_ref())
    }

    /// Secret and key of the account's keytab.
    #[must_use]
    pub fn keytab_ref(&self) -> Option<&SecretKeySelector> {
        named(self.keytab_secret_ref.as_ref())
    }
}
