//! A real Chromium, driven over `WebDriver` (<https://www.w3.org/TR/webdriver2/>).

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::http;
use crate::run::{self, Running};
use crate::skip::{only_with_all, skip};

/// For a page to become what a test waits for.
const PATIENCE: Duration = Duration::from_secs(20);

/// A window can be no narrower; a phone can.
const NARROWEST: u32 = 500;

/// The key of an element's id, as the standard has it.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

#[derive(Debug)]
pub struct Browser {
    driver: SocketAddr,
    session: String,
    _process: Running,
}

impl Browser {
    /// Starts a browser with a window of a size, or leaves the current test out.
    pub fn start((width, height): (u32, u32), is_dark: bool) -> Self {
        only_with_all("needs a browser");
        let driver = Path::new("/usr/bin/chromedriver");
        if !driver.exists() {
            skip("chromedriver is not installed (install chromium-driver)");
        }
        let process = run::spawn(
            driver,
            &["--port=0"],
            &[("PATH".into(), "/usr/bin:/bin".into())],
        );
        let line = process.wait_for_stdout("started successfully on port");
        let port: String = line.chars().filter(char::is_ascii_digit).collect();
        let address = SocketAddr::from(([127, 0, 0, 1], port.parse().expect("a port")));
        let size = format!("--window-size={width},{height}");
        let mut arguments = vec![
            "--headless",
            // Root may not have one, and the pages are ours.
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--lang=en",
            &size,
        ];
        if is_dark {
            arguments.push("--force-dark-mode");
        }
        let mut options = json!({ "args": arguments });
        if width < NARROWEST {
            let metrics =
                json!({ "width": width, "height": height, "pixelRatio": 2, "touch": true });
            options["mobileEmulation"] = json!({ "deviceMetrics": metrics });
        }
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "unhandledPromptBehavior": "accept",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let made = http::request(
            address,
            "POST",
            "/session",
            &[],
            wanted.to_string().as_bytes(),
        );
        assert_eq!(made.status, 200, "{}", made.text());
        let session = made.json()["value"]["sessionId"]
            .as_str()
            .expect("an id")
            .to_owned();
        Self {
            driver: address,
            session,
            _process: process,
        }
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> http::Response {
        let path = format!("/session/{}{path}", self.session);
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        http::request(self.driver, method, &path, &[], body.as_bytes())
    }

    fn must(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.ask(method, path, body);
        assert_eq!(
            answer.status,
            200,
            "{method} {path} {body}: {}\n{}",
            answer.text(),
            self.shown()
        );
        answer.json()["value"].take()
    }

    pub fn open(&self, url: &str) {
        self.must("POST", "/url", &json!({ "url": url }));
    }

    /// What a script's last line returns.
    pub fn evaluate(&self, script: &str) -> Value {
        self.must(
            "POST",
            "/execute/sync",
            &json!({ "script": script, "args": [] }),
        )
    }

    /// Waits until a script's expression is true.
    pub fn until(&self, expression: &str) {
        let deadline = Instant::now() + PATIENCE;
        // The page may be on its way to the next one.
        let script = json!({ "script": format!("return Boolean({expression})"), "args": [] });
        loop {
            let answer = self.ask("POST", "/execute/sync", &script);
            if answer.status == 200 && answer.json()["value"] == true {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "not {expression}: {}\n{}",
                answer.text(),
                self.shown()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the page shows a text.
    pub fn shows(&self, text: &str) {
        let quoted = Value::from(text);
        self.until(&format!("document.body.innerText.includes({quoted})"));
    }

    fn shown(&self) -> String {
        let script = json!({ "script": "return location.href + '\\n' + document.body.innerText", "args": [] });
        let answer = self.ask("POST", "/execute/sync", &script);
        answer.json()["value"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// The element that a CSS selector finds first, once it is there.
    fn element(&self, selector: &str) -> String {
        let quoted = Value::from(selector);
        self.until(&format!("document.querySelector({quoted})"));
        let wanted = json!({ "using": "css selector", "value": selector });
        let found = self.must("POST", "/element", &wanted);
        found[ELEMENT].as_str().expect("an element").to_owned()
    }

    pub fn click(&self, selector: &str) {
        let element = self.element(selector);
        self.must("POST", &format!("/element/{element}/click"), &json!({}));
    }

    /// Types at the end of what a field holds.
    pub fn write(&self, selector: &str, text: &str) {
        let element = self.element(selector);
        self.must(
            "POST",
            &format!("/element/{element}/value"),
            &json!({ "text": text }),
        );
    }

    pub fn clear(&self, selector: &str) {
        let element = self.element(selector);
        self.must("POST", &format!("/element/{element}/clear"), &json!({}));
    }

    /// Presses a key, wherever the focus is.
    pub fn press(&self, key: char) {
        let keys = json!([{ "type": "keyDown", "value": key }, { "type": "keyUp", "value": key }]);
        let actions = json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": keys }] });
        self.must("POST", "/actions", &actions);
    }

    /// What the browser itself complained of since it was last asked.
    pub fn complaints(&self) -> Vec<String> {
        let entries = self.must("POST", "/se/log", &json!({ "type": "browser" }));
        let entries = entries.as_array().cloned().unwrap_or_default();
        entries
            .iter()
            .map(|entry| entry["message"].as_str().unwrap_or_default().to_owned())
            .collect()
    }
}

/// The browser ends with its session; the driver alone would leave it behind.
impl Drop for Browser {
    fn drop(&mut self) {
        let path = format!("/session/{}", self.session);
        http::try_request(self.driver, "DELETE", &path, &[], b"");
    }
}
