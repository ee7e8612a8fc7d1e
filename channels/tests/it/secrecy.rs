//! Nothing that is secret or personal shows up in `Debug`.

use channels::{
    Channels, Config, Credentials, EmailBackend, Outgoing, Parcel, ParcelBackend, Secret, Security,
    SmtpConfig, WebhookBackend, WebhookConfig,
};

use crate::support::{dkim_keys, email, webhook};

#[test]
fn debug_output_holds_no_secret_and_no_person() {
    let mut smtp = SmtpConfig::new("localhost", Security::StartTls);
    smtp.credentials =
        Some(Credentials { username: "relay".into(), password: Secret::new("canary") });
    let dkim = dkim_keys();
    let pem = dkim[0].private_key_pem.expose().lines().nth(1).unwrap()[30..80].to_owned();
    let config = Config {
        email: EmailBackend::Smtp(smtp),
        dkim,
        webhook: WebhookBackend::Http(WebhookConfig::default()),
        parcel: ParcelBackend::Provider,
    };
    let mut mail = email("dlv_1");
    mail.to.address = "canary@customer.example".into();
    mail.html = "canary".into();
    mail.subject = "canary".into();
    let mut hook = webhook("dlv_2", "https://hooks.example.com/canary");
    hook.secrets = vec!["whsec_canary".into()];
    hook.headers = vec![("authorization".into(), "canary".into())];
    hook.body = "canary".into();
    let parcel = Parcel {
        channel: "sms".into(),
        delivery_id: "dlv_3".into(),
        to: "canary".into(),
        payload: "canary".into(),
    };
    let outgoing =
        [Outgoing::Email(mail.clone()), Outgoing::Webhook(hook), Outgoing::Parcel(parcel)];
    let shown = format!("{outgoing:?} {:?} {config:?}", mail.to);
    let built = format!("{:?}", Channels::new(config).unwrap());
    for text in [shown, built] {
        assert!(!text.contains("canary"), "{text}");
        assert!(!text.contains(&pem), "{text}");
    }
}
