//! exp
#![forbid(unsafe_code)]
fn f() -> i32 {
    3
}
tapster_python::entry!(f);
