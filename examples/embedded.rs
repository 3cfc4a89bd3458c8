//! recoup inside another axum application: `cargo run --example embedded`.
//!
//! The host has a state, routes and a shutdown of its own. recoup is mounted at `/recoup`, uses the
//! host's runtime, and runs inside one future. The program asks both, prints what they answer, and
//! ends.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::Arc;

use axum::extract::State;
use axum::{Router, routing::get};
use recoup::Recoup;
use recoup::config::{Config, Surroundings};
use recoup::store::memory::MemoryStore;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What the host's own routes work with.
#[derive(Clone)]
struct Host {
    name: &'static str,
}

async fn hello(State(host): State<Host>) -> String {
    format!("hello from {}", host.name)
}

/// `public_url` has the path that recoup is mounted at: links in messages begin with it.
const MERCHANT: &str = r#"
mode = "shadow"

[merchant]
name = "Café Nube"
public_url = "https://app.cafenube.example/recoup"
support_email = "help@cafenube.example"

[server]
admin_token = "0123456789abcdef0123"

[[gateways]]
id = "pay"
kind = "http"
api_base = "https://payments.cafenube.example"
api_key = "of-your-own-payment-system"
webhook_secrets = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]
"#;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Config::read(MERCHANT, "merchant.toml", &Surroundings::default())
        .map_err(|problems| anyhow::anyhow!("{problems}"))?;
    // A host that keeps its data in a folder leaves `store` out: the merchant file names it.
    let store = Arc::new(MemoryStore::new([7; 32]));
    let recoup = Recoup::builder(config).store(store).build().await?;

    let app = Router::new()
        .route("/", get(hello))
        .nest("/recoup", recoup.router())
        .with_state(Host { name: "the host" });

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let stop = CancellationToken::new();
    let stopped = stop.clone().cancelled_owned();
    let serving = axum::serve(listener, app).with_graceful_shutdown(stopped);
    let (running, serving) = (recoup.run(stop.clone()), async { serving.await });

    let asking = async {
        let client =
            reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
        let ask = async |path: &str| client.get(format!("http://{address}{path}")).send().await;
        println!("/ says: {}", ask("/").await?.text().await?);
        let ready = ask("/recoup/readyz").await?;
        println!("/recoup/readyz says: {} {}", ready.status(), ready.text().await?);
        let away = ask("/recoup").await?;
        let to = away.headers()["location"].to_str()?.to_owned();
        println!("/recoup leads to: {to}");
        anyhow::ensure!(to == "/recoup/login", "a redirect honors the place that it is mounted at");
        let login = ask(&to).await?.text().await?;
        anyhow::ensure!(login.contains("action=\"/recoup/login\""), "and so does a form");
        stop.cancel();
        anyhow::Ok(())
    };
    let (asked, served, ran) = tokio::join!(asking, serving, running);
    asked?;
    served?;
    ran?;
    println!("both have ended");
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_runs() {
        super::main().unwrap();
    }
}
