//! The attribute that registers an end-to-end test.

use proc_macro::{TokenStream, TokenTree};

/// Registers a function without arguments as a test of the harness, under the function's own path.
///
/// # Panics
///
/// Where the attribute stands on something other than a function, or has arguments.
#[proc_macro_attribute]
pub fn test(arguments: TokenStream, item: TokenStream) -> TokenStream {
    assert!(arguments.is_empty(), "#[test] takes no arguments");
    let is_fn =
        |token: &TokenTree| matches!(token, TokenTree::Ident(word) if word.to_string() == "fn");
    let mut tokens = item.clone().into_iter().skip_while(|token| !is_fn(token));
    let Some(TokenTree::Ident(name)) = tokens.nth(1) else {
        panic!("#[test] goes on a function");
    };
    let registration = format!(
        "::platformer_tests::harness::submit! {{
            ::platformer_tests::harness::Test {{
                path: concat!(module_path!(), \"::\", stringify!({name})),
                run: {name},
            }}
        }}"
    );
    let registration: TokenStream = registration.parse().expect("the registration is Rust");
    item.into_iter().chain(registration).collect()
}
