//! Configures the driver's build from the WDK, or from the tree that `cargo xtask driver` makes in its place.

fn main() -> Result<(), wdk_build::ConfigError> {
    wdk_build::configure_wdk_binary_build()
}
