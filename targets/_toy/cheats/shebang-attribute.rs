//! hack 11: an attribute of the whole crate behind a shebang line; stopped by A
//! begins with: #!/ "\n#![no_builtins] // "\n

surface! {
    std::hint::black_box(());
    honest!()
}
