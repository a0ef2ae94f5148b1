//! The program. The library's documentation describes it.

fn main() {
    bootstrap::main()
}
