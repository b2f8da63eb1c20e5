//! A server of files for this machine alone.

use std::{
    ffi::OsStr,
    fs::File,
    io,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use tiny_http::{Header, Method, Request, Response, Server};

#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("there is no folder {}", folder.display())]
    NoFolder { folder: PathBuf },
    #[error("could not listen on port {port} of 127.0.0.1: {problem}; take another with --port")]
    Listen { port: u16, problem: String },
}

/// Requests are answered by as many threads: a browser opens several connections.
const THREADS: usize = 4;

/// Serves until the process ends.
pub fn run(folder: &Path, port: u16) -> Result<(), ServeError> {
    if !folder.is_dir() {
        return Err(ServeError::NoFolder { folder: folder.to_owned() });
    }
    let server = Server::http(("127.0.0.1", port))
        .map_err(|problem| ServeError::Listen { port, problem: problem.to_string() })?;
    // The port is what the system chose where 0 was asked for.
    println!("http://{}/", server.server_addr());
    let server = Arc::new(server);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            let server = Arc::clone(&server);
            scope.spawn(move || {
                for request in server.incoming_requests() {
                    answer(folder, request);
                }
            });
        }
    });
    Ok(())
}

/// What a request is answered with.
#[derive(Debug, PartialEq)]
enum Answer {
    File(PathBuf),
    /// A folder is asked for without the slash by which its page finds its files.
    Redirect(String),
    NotFound,
}

fn answer(folder: &Path, request: Request) {
    let found = match request.method() {
        Method::Get | Method::Head => find(folder, request.url()),
        _ => Answer::NotFound,
    };
    let nothing = || Response::from_string("not found\n").with_status_code(404).boxed();
    let response = match found {
        Answer::NotFound => nothing(),
        Answer::Redirect(to) => with(Response::empty(302), "Location", &to).boxed(),
        Answer::File(file) => match File::open(&file) {
            Err(_) => nothing(),
            Ok(opened) => {
                let response = with(Response::from_file(opened), "Content-Type", mime(file.extension()));
                // What was built last is what is shown.
                with(response, "Cache-Control", "no-store").boxed()
            }
        },
    };
    // The browser may have closed the connection.
    let _ = request.respond(response);
}

/// The response with a header more; without, where the value is not ASCII, as no URL is.
fn with<R: io::Read>(response: Response<R>, name: &str, value: &str) -> Response<R> {
    match Header::from_bytes(name, value) {
        Ok(header) => response.with_header(header),
        Err(()) => response,
    }
}

/// The file of a URL's path: never one outside the folder.
fn find(folder: &Path, url: &str) -> Answer {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let inside = Path::new(path.trim_start_matches('/'));
    if !inside.components().all(|part| matches!(part, Component::Normal(_))) {
        return Answer::NotFound;
    }
    let file = folder.join(inside);
    if path == "/" && folder.join("page").is_dir() {
        return Answer::Redirect("/page/".to_owned());
    }
    match (file.is_dir(), path.ends_with('/')) {
        (true, false) => Answer::Redirect(format!("{path}/")),
        (true, true) => Answer::File(file.join("index.html")),
        (false, true) => Answer::NotFound,
        (false, false) => Answer::File(file),
    }
}

/// Modules and wasm are refused by browsers under another type.
fn mime(extension: Option<&OsStr>) -> &'static str {
    match extension.and_then(OsStr::to_str) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json") => "application/json",
        Some("wasm") => "application/wasm",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ts" | "md" | "txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

    fn found(url: &str) -> Answer {
        find(Path::new(FOLDER), url)
    }

    #[test]
    fn files_are_found_and_nothing_outside_the_folder() {
        let file = |name: &str| Answer::File(Path::new(FOLDER).join(name));
        assert_eq!(found("/src/main.rs?x=1"), file("src/main.rs"));
        assert_eq!(found("/src"), Answer::Redirect("/src/".to_owned()));
        assert_eq!(found("/src/"), file("src/index.html"));
        assert_eq!(found("/"), file("index.html"));
        for outside in ["/../Cargo.toml", "/src/../../Cargo.toml", "//../x", "/src/main.rs/"] {
            assert_eq!(found(outside), Answer::NotFound, "{outside}");
        }
    }

    #[test]
    fn browsers_get_the_types_that_they_insist_on() {
        assert_eq!(mime(Some(OsStr::new("wasm"))), "application/wasm");
        assert_eq!(mime(Some(OsStr::new("js"))), "text/javascript; charset=utf-8");
        assert_eq!(mime(None), "application/octet-stream");
    }
}
