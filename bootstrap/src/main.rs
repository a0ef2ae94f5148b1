//! The program; what it does is told in the library.

fn main() {
    bootstrap::main()
}
