//! The certificate of the package, and signatures by it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::command;
use crate::setup::packaging::Packaging;

/// The name that the certificate is issued to and by.
const NAME: &str = "apclab test signing";

/// A certificate for test signing, with its key. Both are made once, in a folder of their own: a machine that
/// trusts the certificate goes on doing so when the driver is packaged anew.
pub(super) struct Signer<'a> {
    tools: &'a Packaging,
    folder: PathBuf,
}

impl<'a> Signer<'a> {
    /// The certificate in the folder; it is made where there is none.
    ///
    /// # Errors
    ///
    /// When openssl fails.
    pub(super) fn prepare(tools: &'a Packaging, folder: &Path) -> Result<Self> {
        let signer = Self {
            tools,
            folder: folder.to_owned(),
        };
        if signer.key().is_file() && signer.certificate().is_file() {
            return Ok(signer);
        }
        fs::create_dir_all(folder)?;
        let mut openssl = command::clean(&tools.openssl);
        openssl
            .args(["req", "-x509", "-newkey", "rsa:3072", "-nodes", "-sha256"])
            .args(["-days", "3650", "-subj", &format!("/CN={NAME}")])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .args(["-addext", "keyUsage=critical,digitalSignature"])
            .args(["-addext", "extendedKeyUsage=codeSigning"])
            .arg("-keyout")
            .arg(signer.key())
            .arg("-out")
            .arg(signer.certificate());
        // It draws dots to the standard error while it looks for primes.
        command::output(&mut openssl).context("no certificate can be made")?;
        println!(
            "package: a new certificate, {}",
            signer.certificate().display()
        );
        Ok(signer)
    }

    fn key(&self) -> PathBuf {
        self.folder.join("key.pem")
    }

    fn certificate(&self) -> PathBuf {
        self.folder.join("certificate.pem")
    }

    /// The certificate as certutil takes it.
    ///
    /// # Errors
    ///
    /// When openssl fails.
    pub(super) fn der(&self) -> Result<Vec<u8>> {
        let cer = self.folder.join("certificate.cer");
        let mut openssl = command::clean(&self.tools.openssl);
        openssl
            .args(["x509", "-outform", "DER", "-in"])
            .arg(self.certificate())
            .arg("-out")
            .arg(&cer);
        command::output(&mut openssl)?;
        Ok(fs::read(cer)?)
    }

    /// Signs an image or a catalog.
    ///
    /// # Errors
    ///
    /// When osslsigncode fails.
    pub(super) fn sign(&self, name: &str, bytes: &[u8]) -> Result<Vec<u8>> {
        let unsigned = self.folder.join(format!("unsigned-{name}"));
        let signed = self.folder.join(format!("signed-{name}"));
        fs::write(&unsigned, bytes)?;
        // It does not write to a file that is there.
        if signed.exists() {
            fs::remove_file(&signed)?;
        }
        let mut osslsigncode = command::clean(&self.tools.osslsigncode);
        osslsigncode
            .args(["sign", "-h", "sha256", "-certs"])
            .arg(self.certificate())
            .arg("-key")
            .arg(self.key())
            .arg("-in")
            .arg(&unsigned)
            .arg("-out")
            .arg(&signed);
        command::output(&mut osslsigncode).with_context(|| format!("{name} can't be signed"))?;
        Ok(fs::read(signed)?)
    }
}

/// Checks that the file's signature is right, and is by the certificate.
///
/// # Errors
///
/// When it is not, with what osslsigncode says.
pub(super) fn verify(tools: &Packaging, certificate: &Path, file: &Path) -> Result<()> {
    let mut osslsigncode = command::clean(&tools.osslsigncode);
    osslsigncode
        .args(["verify", "-CAfile"])
        .arg(certificate)
        .arg("-in")
        .arg(file);
    checked(&mut osslsigncode)
}

/// Checks that the catalog is signed by the certificate and has the image.
///
/// # Errors
///
/// When it is not so, with what osslsigncode says.
pub(super) fn verify_by_catalog(
    tools: &Packaging,
    certificate: &Path,
    catalog: &Path,
    file: &Path,
) -> Result<()> {
    let mut osslsigncode = command::clean(&tools.osslsigncode);
    osslsigncode
        .args(["verify", "-catalog"])
        .arg(catalog)
        .arg("-CAfile")
        .arg(certificate)
        .arg("-in")
        .arg(file);
    checked(&mut osslsigncode)
}

fn checked(osslsigncode: &mut Command) -> Result<()> {
    let line = command::line(osslsigncode);
    let output = osslsigncode
        .output()
        .with_context(|| format!("can't start `{line}`"))?;
    let told = String::from_utf8_lossy(&output.stdout);
    // It says why on its standard output.
    ensure!(
        output.status.success() && told.contains("Signature verification: ok"),
        "`{line}`: {}\n{told}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// The certificate as openssl and osslsigncode take it, from what certutil takes.
///
/// # Errors
///
/// When openssl fails.
pub(super) fn pem(tools: &Packaging, certificate: &Path, pem: &Path) -> Result<()> {
    let mut openssl = command::clean(&tools.openssl);
    openssl
        .args(["x509", "-inform", "DER", "-in"])
        .arg(certificate)
        .arg("-out")
        .arg(pem);
    command::output(&mut openssl)?;
    Ok(())
}
