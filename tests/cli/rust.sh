#!/usr/bin/env bash
# ARCBOX_TARGET_VENDOR=apple: cargo takes the dependencies that Apple's platforms have, the crates that stand on
# Objective-C's are compiled for them, and those below stay Linux's.
#   rust.sh ARCBOX BUILD
. "$(dirname "$0")/lib.sh"
build=$(realpath "$2")
command -v cargo >/dev/null || { skip "no cargo"; pass; finish; exit; }
cd "$work" || exit 1

# crate NAME DEPENDENCIES: a library whose VENDOR says what it was compiled for.
crate() {
    mkdir -p "$1/src"
    printf '[package]\nname = "%s"\nversion = "1.0.0"\nedition = "2021"\n%b' "$1" "$2" >"$1/Cargo.toml"
    cat >"$1/src/lib.rs" <<'END'
pub const VENDOR: &str = if cfg!(target_vendor = "apple") { "apple" } else { "other" };
END
}
apple='[target.'"'"'cfg(target_vendor = "apple")'"'"'.dependencies]\n'
crate objc2 ''
crate below ''
crate gnu 'features = { gnustep-1-7 = [] }\n[dependencies]\nobjc2 = { path = "../objc2" }\n'
sed -i '/^features/d' gnu/Cargo.toml
printf '[features]\ngnustep-1-7 = []\n' >>gnu/Cargo.toml
crate cc ''
crate below '[build-dependencies]\ncc = { path = "../cc" }\n'
cat >below/build.rs <<'END'
fn main() {
    println!("cargo:rustc-env=TOLD={} {}", std::env::var("CARGO_CFG_TARGET_VENDOR").unwrap(), cc::VENDOR);
}
END
echo 'pub const TOLD: &str = env!("TOLD");' >>below/src/lib.rs
crate middle "$apple"'objc2 = { path = "../objc2" }\n'
crate top '[dependencies]\nbelow = { path = "../below" }\ngnu = { path = "../gnu" }\nmiddle = { path = "../middle" }\n'
cat >top/src/main.rs <<'END'
fn main() {
    let own = if cfg!(target_vendor = "apple") { "apple" } else { "other" };
    println!("top {own} middle {} below {} gnu {} built {}", middle::VENDOR, below::VENDOR,
        gnu::VENDOR, below::TOLD);
}
END
# built VARIABLE=VALUE: what the program says.
built() {
    env "$@" RUSTC_WRAPPER="$build/scripts/arcbox-rustc" cargo run -q --offline --manifest-path top/Cargo.toml \
        --target-dir "target-$*" --bin top 2>&1
}
same "told" "top apple middle apple below other gnu other built unknown other" "$(built ARCBOX_TARGET_VENDOR=apple)"
same "not told" "top other middle other below other gnu other built unknown other" "$(built ARCBOX_TARGET_VENDOR=)"

# Accelerate, by an attribute and by a build script: OpenBLAS.
mkdir -p blas/src
printf '[package]\nname = "blas"\nversion = "1.0.0"\nedition = "2021"\n' >blas/Cargo.toml
cat >blas/src/main.rs <<'END'
#![allow(unexpected_cfgs)]
#[cfg_attr(not(scripted), link(name = "Accelerate", kind = "framework"))]
#[link(name = "Metal", kind = "framework")]
extern "C" {
    fn cblas_sasum(n: i32, x: *const f32, step: i32) -> f32;
}
fn main() {
    println!("{}", unsafe { cblas_sasum(2, [1f32, -2.].as_ptr(), 1) });
}
END
sum() {
    RUSTC_WRAPPER="$build/scripts/arcbox-rustc" cargo run -q --offline --manifest-path blas/Cargo.toml --target-dir target-blas 2>&1
}
same "Accelerate, an attribute's" 3 "$(sum)"
cat >blas/build.rs <<'END'
fn main() {
    println!("cargo:rustc-check-cfg=cfg(scripted)\ncargo:rustc-cfg=scripted\ncargo:rustc-link-lib=framework=Accelerate");
}
END
same "Accelerate, a build script's" 3 "$(sum)"

# A shader library put into the program, and a framework, as arguments for a Mac's linker.
mkdir -p embeds/src
printf '[package]\nname = "embeds"\nversion = "1.0.0"\nedition = "2021"\n' >embeds/Cargo.toml
printf 'a shader library' >embeds/lib.bin
cat >embeds/build.rs <<'END'
fn main() {
    let file = format!("{}/lib.bin", std::env::var("CARGO_MANIFEST_DIR").unwrap());
    println!("cargo:rustc-link-arg=-Wl,-sectcreate,__METAL,__shaders,{file}");
    println!("cargo:rustc-link-arg=-framework\ncargo:rustc-link-arg=Accelerate");
}
END
cat >embeds/src/main.rs <<'END'
extern "C" {
    static __dso_handle: u8;
    fn getsectiondata(header: *const u8, segment: *const i8, section: *const i8, bytes: *mut usize) -> *const u8;
    fn cblas_sasum(n: i32, x: *const f32, step: i32) -> f32;
}
fn main() {
    let mut bytes = 0;
    let data = unsafe {
        getsectiondata(&__dso_handle, c"__METAL".as_ptr(), c"__shaders".as_ptr(), &mut bytes)
    };
    assert!(!data.is_null(), "there is no such section");
    let data = unsafe { std::slice::from_raw_parts(data, bytes) };
    println!("{} {}", std::str::from_utf8(data).unwrap(), unsafe { cblas_sasum(2, [1f32, -2.].as_ptr(), 1) });
}
END
same "a section in a Rust program" "a shader library 3" \
    "$(RUSTC_WRAPPER="$build/scripts/arcbox-rustc" cargo run -q --offline --manifest-path embeds/Cargo.toml --target-dir target-embeds 2>&1)"
same "another vendor" "arcbox-rustc: ARCBOX_TARGET_VENDOR is 'pc'; 'apple' is all that it may be" \
    "$(ARCBOX_TARGET_VENDOR=pc "$build/scripts/arcbox-rustc" rustc -vV 2>&1)"
finish
