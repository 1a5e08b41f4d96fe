//! Makes sure that the folder of built pages exists, for it is embedded; and builds anew when it changes.

fn main() -> std::io::Result<()> {
    println!("cargo:rerun-if-changed=dist");
    std::fs::create_dir_all("dist")
}
