//! `recoup`: the commands come with `cli`.

fn main() {}
