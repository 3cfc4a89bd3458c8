//! `recoup whatsapp templates` against a Cloud API that takes templates as Meta does.
//!
//! What must stay true: what is handed in would be taken; nothing is handed in twice; the exit code
//! says whether messages can go.

use std::sync::{Arc, Mutex};

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

const TOKEN: &str = "EAAG-made-up-token";

/// The templates of a business, two a page.
type Kept = Arc<Mutex<Vec<Value>>>;

async fn list(
    State(kept): State<Kept>,
    headers: HeaderMap,
    Query(query): Query<std::collections::BTreeMap<String, String>>,
) -> (StatusCode, Json<Value>) {
    if headers.get("authorization").is_none_or(|given| *given != format!("Bearer {TOKEN}")) {
        return (StatusCode::UNAUTHORIZED, Json(json!({"error": {"code": 190}})));
    }
    let from: usize = query.get("after").map_or(0, |cursor| cursor.parse().unwrap());
    let kept = kept.lock().unwrap();
    let data: Vec<_> = kept.iter().skip(from).take(2).cloned().collect();
    let end = from + data.len();
    let mut paging = json!({"cursors": {"after": end.to_string()}});
    if end < kept.len() {
        paging["next"] = json!("https://graph.facebook.com/next");
    }
    (StatusCode::OK, Json(json!({"data": data, "paging": paging})))
}

/// What Meta refuses: a second template of one name and language, variables that are not numbered
/// from one, at an end of the text, or without an example.
fn refused(kept: &[Value], template: &Value) -> Option<String> {
    let same = |known: &Value| {
        known["name"] == template["name"] && known["language"] == template["language"]
    };
    if kept.iter().any(same) {
        return Some("it exists already".to_owned());
    }
    let body = template["components"][0]["text"].as_str()?;
    let examples = &template["components"][0]["example"]["body_text"][0];
    let count = examples.as_array().map_or(0, Vec::len);
    let numbered = (1..=count).all(|number| body.contains(&format!("{{{{{number}}}}}")));
    let more = body.contains(&format!("{{{{{}}}}}", count + 1));
    let at_an_end = body.starts_with("{{") || body.ends_with("}}");
    let name = template["name"].as_str()?;
    let plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    let fits = numbered && !more && !at_an_end && plain && body.chars().count() <= 1024;
    (!fits || template["category"] != "UTILITY").then(|| template.to_string())
}

async fn take(State(kept): State<Kept>, Json(template): Json<Value>) -> (StatusCode, Json<Value>) {
    let mut kept = kept.lock().unwrap();
    if let Some(why) = refused(&kept, &template) {
        let error = json!({"error": {"code": 100, "error_subcode": 2_388_024, "message": why}});
        return (StatusCode::BAD_REQUEST, Json(error));
    }
    let known = json!({"name": template["name"], "language": template["language"],
        "category": "UTILITY", "status": "PENDING"});
    kept.push(known);
    (StatusCode::OK, Json(json!({"id": "1", "status": "PENDING", "category": "UTILITY"})))
}

struct Ran {
    code: i32,
    out: String,
    err: String,
}

async fn recoup(dir: &std::path::Path, args: &[&str]) -> Ran {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_recoup"));
    command.args(["whatsapp", "templates"]).args(args).current_dir(dir);
    let ran = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: ran.status.code().unwrap(), out: text(ran.stdout), err: text(ran.stderr) }
}

fn merchant_file(base: &str) -> String {
    format!(
        "[merchant]\nname = \"Café Nube\"\npublic_url = \"https://pay.nube.example\"\n\
         support_email = \"ayuda@nube.example\"\nlocale = \"es-CO\"\n\
         [server]\nadmin_token = \"a-token-of-thirty-two-characters\"\n\
         [[gateways]]\nid = \"pay\"\nkind = \"http\"\napi_base = \"http://127.0.0.1:9\"\n\
         api_key = \"key\"\nwebhook_secrets = [\"whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz\"]\n\
         [whatsapp]\nprovider = \"cloud-api\"\nphone_number_id = \"106540352242922\"\n\
         business_account_id = \"102290129340398\"\naccess_token = \"{TOKEN}\"\n\
         app_secret = \"s\"\napi_base = \"{base}\"\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_are_listed_handed_in_once_and_seen_approved() {
    let kept = Kept::default();
    let path = "/v23.0/102290129340398/message_templates";
    let app = Router::new().route(path, get(list).post(take)).with_state(kept.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/v23.0", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("recoup.toml"), merchant_file(&base)).unwrap();

    let spanish = ["--language", "es"];
    let listed = recoup(dir.path(), &spanish).await;
    assert_eq!(listed.code, 1, "{} {}", listed.out, listed.err);
    assert!(listed.out.contains("MISSING") && listed.out.contains("--submit"), "{}", listed.out);
    let submitted = recoup(dir.path(), &["--language", "es", "--submit"]).await;
    assert_eq!(submitted.code, 0, "{} {}", submitted.out, submitted.err);
    let taken = kept.lock().unwrap().len();
    assert!(taken >= 5, "every kind has one: {taken}");
    let again = recoup(dir.path(), &["--language", "es", "--submit", "--json"]).await;
    assert_eq!((again.code, kept.lock().unwrap().len()), (1, taken), "pending: {}", again.err);
    for template in kept.lock().unwrap().iter_mut() {
        template["status"] = json!("APPROVED");
    }
    let approved = recoup(dir.path(), &["--language", "es", "--json"]).await;
    assert_eq!(approved.code, 0, "{} {}", approved.out, approved.err);
    let shown: Value = serde_json::from_str(&approved.out).unwrap();
    assert_eq!(shown["templates"].as_array().map(Vec::len), Some(taken));
    assert!(!format!("{} {}", listed.err, approved.out).contains(TOKEN));

    let all = recoup(dir.path(), &["--submit"]).await;
    assert_eq!(all.code, 0, "every language would be taken: {} {}", all.out, all.err);
    let wrong = recoup(dir.path(), &["--language", "xx"]).await;
    assert!(wrong.code == 2 && wrong.err.contains("there are"), "{}", wrong.err);
}
