//! The files that `recoup init` writes, and what is to be done next.
//!
//! What must stay true: the merchant file is valid as it is once the variables of the other file
//! have values (a test reads both for every gateway).

use std::path::Path;

use super::ask::Answers;

/// A secret of the merchant file: its variable, and where it is found.
type Secret = (&'static str, &'static str);

/// What a gateway's table needs: the lines, and the secrets that they name.
fn gateway(kind: &str) -> (&'static str, &'static [Secret]) {
    match kind {
        "adyen" => (
            "api_key = { env = \"ADYEN_API_KEY\" }\n\
             merchant_account = \"YourCompanyECOM\"    # Customer Area, top left\n\
             webhook_secrets = [{ env = \"ADYEN_HMAC_KEY\" }]\n\
             native_retries = \"off\"          # \"observe\" where Auto Rescue is switched on\n",
            &[
                ("ADYEN_API_KEY", "Customer Area: Developers, API credentials"),
                ("ADYEN_HMAC_KEY", "Customer Area: Developers, Webhooks, HMAC key"),
            ],
        ),
        "braintree" => (
            "merchant_id = \"your_merchant_id\"       # Control Panel: Settings, API\n\
             public_key = { env = \"BRAINTREE_PUBLIC_KEY\" }\n\
             private_key = { env = \"BRAINTREE_PRIVATE_KEY\" }   # verifies webhooks too\n\
             native_retries = \"observe\"\n",
            &[
                ("BRAINTREE_PUBLIC_KEY", "Control Panel: Settings, API, API Keys"),
                ("BRAINTREE_PRIVATE_KEY", "beside it"),
            ],
        ),
        "mercadopago" => (
            "api_key = { env = \"MERCADOPAGO_ACCESS_TOKEN\" }\n\
             webhook_secrets = [{ env = \"MERCADOPAGO_WEBHOOK_SECRET\" }]\n\
             native_retries = \"observe\"\n",
            &[
                ("MERCADOPAGO_ACCESS_TOKEN", "Tus integraciones: Credenciales de producción"),
                ("MERCADOPAGO_WEBHOOK_SECRET", "Tus integraciones: Webhooks, clave secreta"),
            ],
        ),
        "wompi" => (
            "api_key = { env = \"WOMPI_PRIVATE_KEY\" }\n\
             webhook_secrets = [{ env = \"WOMPI_EVENTS_SECRET\" }]\n\
             integrity_secret = { env = \"WOMPI_INTEGRITY_SECRET\" }\n",
            &[
                ("WOMPI_PRIVATE_KEY", "Comercios: Desarrolladores, llave privada"),
                ("WOMPI_EVENTS_SECRET", "Comercios: Desarrolladores, secreto de eventos"),
                ("WOMPI_INTEGRITY_SECRET", "Comercios: Desarrolladores, secreto de integridad"),
            ],
        ),
        "checkout" => (
            "api_key = { env = \"CHECKOUT_SECRET_KEY\" }\n\
             webhook_secrets = [{ env = \"CHECKOUT_SIGNATURE_KEY\" }]\n\
             processing_channel = \"pc_your_channel\"  # Dashboard: Settings, Channels\n",
            &[
                ("CHECKOUT_SECRET_KEY", "Dashboard: Developers, Keys"),
                ("CHECKOUT_SIGNATURE_KEY", "Dashboard: Developers, Workflows, the webhook action"),
            ],
        ),
        "http" => (
            "api_base = \"https://payments.internal.example\"   # docs/gateways/http.md\n\
             api_key = { env = \"PAYMENTS_API_KEY\" }\n\
             webhook_secrets = [{ env = \"PAYMENTS_WEBHOOK_SECRET\" }]\n",
            &[
                ("PAYMENTS_API_KEY", "of your own payment system"),
                ("PAYMENTS_WEBHOOK_SECRET", "of your own payment system: whsec_ and base64"),
            ],
        ),
        _ => (
            "api_key = { env = \"STRIPE_API_KEY\" }\n\
             webhook_secrets = [{ env = \"STRIPE_WEBHOOK_SECRET\" }]   # several while rotating\n\
             native_retries = \"observe\"      # Stripe's own retries go first; or \"off\"\n",
            &[
                ("STRIPE_API_KEY", "Dashboard: Developers, API keys, a restricted key"),
                ("STRIPE_WEBHOOK_SECRET", "Dashboard: Developers, Webhooks, Signing secret"),
            ],
        ),
    }
}

/// A text as TOML writes it.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// `recoup.toml`.
pub(super) fn merchant_file(answers: &Answers) -> String {
    let Answers { name, public_url, support_email, gateway: kind, locale } = answers;
    let (name, url, email) = (quoted(name), quoted(public_url), quoted(support_email));
    let (locale, lines) = (quoted(locale), gateway(kind).0);
    let sender = support_email.replace(['<', '>'], "");
    let from = quoted(&format!("{} <{sender}>", answers.name.replace(['"', '\\', '<', '>'], "")));
    format!(
        "# The merchant file of recoup. `recoup check` validates it; every key:\n\
         # docs/CONFIGURATION.md. Secrets stand in the environment, see .env.example.\n\
         \n\
         # The first days: everything is planned and shown, nothing is charged or sent.\n\
         # `recoup report` compares; `recoup live` ends it.\n\
         mode = \"shadow\"\n\
         \n\
         [merchant]\n\
         name = {name}\n\
         public_url = {url}     # what links in messages begin with\n\
         support_email = {email}    # a human reads it\n\
         # support_phone = \"+57 601 555 0100\"\n\
         # postal_address = \"Calle 10 # 5-51, Bogotá\"   # some countries ask for it\n\
         locale = {locale}              # where a customer's language is unknown\n\
         time_zone = \"UTC\"              # likewise; e.g. \"America/Bogota\"\n\
         \n\
         [server]\n\
         listen = \"127.0.0.1:8080\"\n\
         admin_token = {{ env = \"RECOUP_ADMIN_TOKEN\" }}    # opens the dashboard and the API\n\
         \n\
         [store]\n\
         url = \"sled:data/recoup\"       # a folder; back it up with `recoup backup`\n\
         \n\
         [[gateways]]                   # the first is the billing gateway\n\
         id = \"{kind}\"                  # its webhooks arrive at {public_url}/webhooks/{kind}\n\
         kind = \"{kind}\"\n\
         {lines}\n\
         # [[gateways]]                 # a second one, for retries that the first refuses\n\
         \n\
         [retries]\n\
         schedule = \"smart\"             # evenly spaced, moved by what your own cases show\n\
         window_days = 28\n\
         max_attempts = 4\n\
         \n\
         [email]\n\
         smtp_url = {{ env = \"SMTP_URL\" }}\n\
         from = {from}\n"
    )
}

/// `.env.example`.
pub(super) fn environment(answers: &Answers) -> String {
    let (_, secrets) = gateway(&answers.gateway);
    let mut text = "# Copy it to .env, fill it in, and keep it out of version control.\n\n\
        # Opens the dashboard and the API. Make one: openssl rand -hex 32\n\
        RECOUP_ADMIN_TOKEN=\n\n"
        .to_owned();
    for (name, place) in secrets {
        text.push_str(&format!("# {place}\n{name}=\n\n"));
    }
    text.push_str("# smtps://user:password@host, as your mail provider says\nSMTP_URL=\n");
    text
}

/// What to do next, a line each.
pub(super) fn next_steps(dir: &Path, answers: &Answers) -> Vec<String> {
    let inside =
        if dir == Path::new(".") { String::new() } else { format!("cd {} && ", dir.display()) };
    let (kind, url) = (&answers.gateway, &answers.public_url);
    vec![
        format!("{inside}cp .env.example .env     and fill in the values"),
        "set -a; . ./.env; set +a".to_owned(),
        "recoup check                 every mistake at once".to_owned(),
        "recoup doctor                goes online: keys, rights, webhooks, mail".to_owned(),
        "recoup serve".to_owned(),
        format!("at the gateway: send webhooks to {url}/webhooks/{kind} (docs/gateways/{kind}.md)"),
    ]
}
