// The matrix's program on coap-rs: see support/matrix.sh.
use std::collections::HashMap;
use std::env;
use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coap::client::ObserveMessage;
use coap::request::{Method, RequestBuilder};
use coap::server::UdpCoapListener;
use coap::{Server, UdpCoAPClient};
use coap_lite::block_handler::BlockValue;
use coap_lite::{CoapOption, CoapRequest, ContentFormat, MessageClass, ResponseType};
use tokio::net::UdpSocket;
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::sleep;

type Request = Box<CoapRequest<SocketAddr>>;
type Kept = Arc<Mutex<HashMap<String, Vec<u8>>>>;

const ETAG: [u8; 2] = [1, 2];

// ---- Serving ---------------------------------------------------------------

// What a path keeps, and has from the start: /large.
fn value(path: &str, request: &Request, kept: &Kept) -> (ResponseType, Vec<u8>) {
    let mut kept = kept.lock().unwrap();
    match request.get_method() {
        Method::Put => match kept.insert(path.into(), request.message.payload.clone()) {
            None => (ResponseType::Created, vec![]),
            Some(_) => (ResponseType::Changed, vec![]),
        },
        Method::Delete => {
            kept.remove(path);
            (ResponseType::Deleted, vec![])
        }
        _ => match kept.get(path) {
            None => (ResponseType::NotFound, vec![]),
            Some(body) => (ResponseType::Content, body.clone()),
        },
    }
}

fn knows_etag(request: &Request) -> bool {
    request
        .message
        .get_option(CoapOption::ETag)
        .is_some_and(|tags| tags.iter().any(|tag| tag[..] == ETAG))
}

async fn handle(mut request: Request, kept: Kept) -> Request {
    let path = request.get_path();
    let (code, body) = match path.as_str() {
        "" => (ResponseType::Content, b"made with coap-rs".to_vec()),
        "large" | "store" | "obs" => value(&path, &request, &kept),
        "echo" if *request.get_method() == Method::Fetch => {
            (ResponseType::Content, request.message.payload.clone())
        }
        "echo" => (ResponseType::Changed, request.message.payload.clone()),
        "separate" => {
            sleep(Duration::from_secs(1)).await;
            (ResponseType::Content, b"done".to_vec())
        }
        "etag" if knows_etag(&request) => (ResponseType::Valid, vec![]),
        "etag" => (ResponseType::Content, b"tagged".to_vec()),
        _ => (ResponseType::NotFound, vec![]),
    };
    if let Some(ref mut response) = request.response {
        response.set_status(code);
        response.message.payload = body;
        if path == "etag" {
            response.message.add_option(CoapOption::ETag, ETAG.to_vec());
        }
    }
    request
}

async fn serve(file: &str) {
    let large = fs::read(file).unwrap();
    let kept: Kept = Arc::new(Mutex::new(HashMap::from([("large".into(), large)])));
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    println!("listening on coap://{}", socket.local_addr().unwrap());
    let listener = Box::new(UdpCoapListener::from_socket(socket));
    Server::from_listeners(vec![listener])
        .run(move |request| handle(request, kept.clone()))
        .await
        .unwrap();
}

// ---- Asking ----------------------------------------------------------------

// HOST:PORT and PATH of coap://HOST:PORT/PATH.
fn parts(uri: &str) -> (&str, &str) {
    let rest = uri.strip_prefix("coap://").unwrap();
    rest.split_once('/').unwrap()
}

fn bytes_of(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2)
        .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
        .collect()
}

fn options_of(said: &HashMap<&str, &str>) -> Vec<(CoapOption, Vec<u8>)> {
    let mut options = vec![];
    if let Some(tag) = said.get("etag") {
        options.push((CoapOption::ETag, bytes_of(tag)));
    }
    if let Some(number) = said.get("option") {
        options.push((CoapOption::Unknown(number.parse().unwrap()), b"x".to_vec()));
    }
    options
}

async fn ask(method: &str, uri: &str, words: &[String]) {
    let said: HashMap<_, _> = words.iter().map(|w| w.split_once('=').unwrap_or((w, ""))).collect();
    let (host, path) = parts(uri);
    let method = match method {
        "GET" => Method::Get,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        _ => Method::Fetch,
    };
    let body = said.get("body").map(|file| fs::read(file).unwrap());
    let block: Option<usize> = said.get("block").map(|size| size.parse().unwrap());
    let mut client = UdpCoAPClient::new(host).await.unwrap();
    let mut request = RequestBuilder::new(path, method)
        .confirmable(!said.contains_key("non"))
        .token(Some(b"peer".to_vec()))
        .options(options_of(&said))
        .build();
    if let Some(body) = body {
        request.message.set_content_format(ContentFormat::ApplicationOctetStream);
        request.message.payload = body;
        client.set_block1_size(block.unwrap_or(1024));
    } else if let Some(size) = block {
        let wanted = BlockValue::new(0, false, size).unwrap();
        request.message.add_option_as(CoapOption::Block2, wanted);
    }
    let message = client.send(request).await.unwrap().message;
    std::io::stdout().write_all(&message.payload).unwrap();
    if let Some(tag) = message.get_first_option(CoapOption::ETag) {
        let hex: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
        eprintln!("etag {hex}");
    }
    let number = match message.header.code {
        MessageClass::Reserved(number) => number,
        known => known.into(),
    };
    eprintln!("code {}.{:02}", number >> 5, number & 31);
}

async fn observe(uri: &str, count: usize) {
    let (host, path) = parts(uri);
    let client = UdpCoAPClient::new(host).await.unwrap();
    let (tell, mut told) = unbounded_channel();
    let observation = client
        .observe(path, move |note| {
            let text = String::from_utf8(note.unwrap().payload).unwrap();
            let _ = tell.send(text);
        })
        .await
        .unwrap();
    for _ in 0..count {
        println!("{}", told.recv().await.unwrap());
    }
    observation.send(ObserveMessage::Terminate).unwrap();
    println!("let go");
    sleep(Duration::from_secs(2)).await;
}

#[tokio::main]
async fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    match words[0].as_str() {
        "serve" => serve(&words[1]).await,
        "ask" => ask(&words[1], &words[2], &words[3..]).await,
        "observe" => observe(&words[1], words[2].parse().unwrap()).await,
        verb => panic!("no {verb}"),
    }
}
