//! Chromium, controlled over `WebDriver` (<https://www.w3.org/TR/webdriver2/>).

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::http;
use crate::run::{self, Running};
use crate::skip::{only_with_all, skip};

/// Limit for each wait for a change of a page.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The minimum width of a window. A narrower screen is emulated.
const MIN_WINDOW_WIDTH: u32 = 500;

/// The key of an element ID, as the standard defines it.
const ELEMENT_KEY: &str = "element-6066-11e4-a52e-4f735466cecf";

#[derive(Debug)]
pub struct Browser {
    driver: SocketAddr,
    session: String,
    _process: Running,
}

impl Browser {
    /// Starts a browser. Skips the current test if the driver is not installed.
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
            // Chromium refuses to run as root with a sandbox. The tests open only their own pages.
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
        if width < MIN_WINDOW_WIDTH {
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
        let created = http::request(
            address,
            "POST",
            "/session",
            &[],
            wanted.to_string().as_bytes(),
        );
        assert_eq!(created.status, 200, "{}", created.text());
        let session = created.json()["value"]["sessionId"]
            .as_str()
            .expect("a session ID")
            .to_owned();
        Self {
            driver: address,
            session,
            _process: process,
        }
    }

    fn try_command(&self, method: &str, path: &str, body: &Value) -> http::Response {
        let path = format!("/session/{}{path}", self.session);
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        http::request(self.driver, method, &path, &[], body.as_bytes())
    }

    fn command(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.try_command(method, path, body);
        assert_eq!(
            answer.status,
            200,
            "{method} {path} {body}: {}\n{}",
            answer.text(),
            self.page_text()
        );
        answer.json()["value"].take()
    }

    pub fn open(&self, url: &str) {
        self.command("POST", "/url", &json!({ "url": url }));
    }

    /// Runs a script and returns its result.
    pub fn evaluate(&self, script: &str) -> Value {
        self.command(
            "POST",
            "/execute/sync",
            &json!({ "script": script, "args": [] }),
        )
    }

    /// Waits until a JavaScript expression is true.
    pub fn until(&self, expression: &str) {
        let deadline = Instant::now() + TIMEOUT;
        // The command can fail while the browser loads another page, so a failure counts as false.
        let script = json!({ "script": format!("return Boolean({expression})"), "args": [] });
        loop {
            let answer = self.try_command("POST", "/execute/sync", &script);
            if answer.status == 200 && answer.json()["value"] == true {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "timed out after {TIMEOUT:?} waiting until {expression}: {}\n{}",
                answer.text(),
                self.page_text()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the page contains a text.
    pub fn shows(&self, text: &str) {
        let quoted = Value::from(text);
        self.until(&format!("document.body.innerText.includes({quoted})"));
    }

    fn page_text(&self) -> String {
        let script = json!({ "script": "return location.href + '\\n' + document.body.innerText", "args": [] });
        let answer = self.try_command("POST", "/execute/sync", &script);
        answer.json()["value"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// Waits for the first element that matches a CSS selector, and returns its ID.
    fn element(&self, selector: &str) -> String {
        let quoted = Value::from(selector);
        self.until(&format!("document.querySelector({quoted})"));
        let wanted = json!({ "using": "css selector", "value": selector });
        let found = self.command("POST", "/element", &wanted);
        found[ELEMENT_KEY].as_str().expect("an element").to_owned()
    }

    pub fn click(&self, selector: &str) {
        let element = self.element(selector);
        self.command("POST", &format!("/element/{element}/click"), &json!({}));
    }

    /// Types text at the end of a field.
    pub fn write(&self, selector: &str, text: &str) {
        let element = self.element(selector);
        self.command(
            "POST",
            &format!("/element/{element}/value"),
            &json!({ "text": text }),
        );
    }

    pub fn clear(&self, selector: &str) {
        let element = self.element(selector);
        self.command("POST", &format!("/element/{element}/clear"), &json!({}));
    }

    /// Presses a key in the focused element.
    pub fn press(&self, key: char) {
        let keys = json!([{ "type": "keyDown", "value": key }, { "type": "keyUp", "value": key }]);
        let actions = json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": keys }] });
        self.command("POST", "/actions", &actions);
    }

    /// Returns the messages of the console since the last call.
    pub fn console_messages(&self) -> Vec<String> {
        let entries = self.command("POST", "/se/log", &json!({ "type": "browser" }));
        let entries = entries.as_array().cloned().unwrap_or_default();
        entries
            .iter()
            .map(|entry| entry["message"].as_str().unwrap_or_default().to_owned())
            .collect()
    }
}

/// Ends the session, because the browser would outlive the driver.
impl Drop for Browser {
    fn drop(&mut self) {
        let path = format!("/session/{}", self.session);
        http::try_request(self.driver, "DELETE", &path, &[], b"");
    }
}
