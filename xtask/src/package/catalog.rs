//! The catalog of the package: a list of its files' hashes, which the certificate signs.
//!
//! It is a certificate trust list of Microsoft's (CTL, OID 1.3.6.1.4.1.311.10.1) in a PKCS #7 SignedData. Its
//! form is that of version 2 (SHA-256), as makecat and Inf2Cat write it. No specification is published; what is
//! here agrees with a catalog that makecat made, one of Windows itself, and what three programs that read
//! or write catalogs (osslsigncode, Samba's lib/mscat, relic) know about the format.

use anyhow::{Context, Result, ensure};
use der::asn1::{
    Any, BmpString, ContextSpecific, Null, ObjectIdentifier, OctetString, SetOfVec, UtcTime,
};
use der::{Decode as _, Encode, Sequence, TagMode, TagNumber, ValueOrd};
use object::LittleEndian as LE;
use object::read::pe::PeFile64;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::time::Duration;

const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const TRUST_LIST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.10.1");
const CATALOG_LIST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.12.1.1");
/// Of version 2, whose tags are the hashes themselves.
const CATALOG_MEMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.12.1.3");
const NAME_VALUE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.12.2.1");
/// Of version 2.
const MEMBER_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.12.2.3");
const INDIRECT_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.2.1.4");
const PE_IMAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.2.1.15");
const LINK: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.2.1.25");
const SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");

/// `CRYPTCAT_ATTR_AUTHENTICATED`, `CRYPTCAT_ATTR_NAMEASCII` and `CRYPTCAT_ATTR_DATAASCII` of mscat.h.
const PLAIN_TEXT: u32 = 0x1001_0001;

/// Windows 10 and later; and, as Inf2Cat's attribute has it, Windows 10 version 2004 for x64, called Vibranium.
const OS_ATTRIBUTE: &str = "2:10.0";
const OS_NAME: &str = "_v100_X64_Vb";

#[derive(Sequence)]
struct TrustList {
    usage: Vec<ObjectIdentifier>,
    identifier: OctetString,
    this_update: UtcTime,
    algorithm: Algorithm,
    members: Vec<Member>,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    extensions: Vec<Extension>,
}

#[derive(Sequence)]
struct Algorithm {
    oid: ObjectIdentifier,
    parameters: Null,
}

#[derive(Sequence)]
struct Member {
    tag: OctetString,
    attributes: SetOfVec<Attribute>,
}

#[derive(Sequence, ValueOrd)]
struct Attribute {
    oid: ObjectIdentifier,
    values: SetOfVec<Any>,
}

#[derive(Sequence)]
struct Extension {
    oid: ObjectIdentifier,
    value: OctetString,
}

#[derive(Sequence)]
struct NameValue {
    name: BmpString,
    flags: u32,
    value: OctetString,
}

#[derive(Sequence)]
struct IndirectData {
    data: TypedValue,
    digest: DigestInfo,
}

#[derive(Sequence)]
struct TypedValue {
    oid: ObjectIdentifier,
    value: Any,
}

#[derive(Sequence)]
struct DigestInfo {
    algorithm: Algorithm,
    digest: OctetString,
}

/// PKCS #7's SignedData, without signers and certificates as long as nobody has signed.
#[derive(Sequence)]
struct SignedData {
    version: u8,
    digest_algorithms: SetOfVec<Any>,
    content: Content,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    certificates: Option<SetOfVec<Any>>,
    signers: SetOfVec<Any>,
}

#[derive(Sequence)]
struct Content {
    oid: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    value: Any,
}

/// What kind of file a member is: of an image, the hash leaves the signature out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Image,
    Flat,
}

/// A file of the package, hashed as Windows does it for a catalog.
#[derive(Debug)]
pub(super) struct File {
    name: &'static str,
    kind: Kind,
    sha256: Vec<u8>,
    sha1: Vec<u8>,
}

impl File {
    /// An image, signed or not.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub(super) fn image(name: &'static str, bytes: &[u8]) -> Result<Self> {
        Ok(Self {
            name,
            kind: Kind::Image,
            sha256: image_digest::<Sha256>(bytes)?,
            sha1: image_digest::<Sha1>(bytes)?,
        })
    }

    /// Any other file.
    pub(super) fn flat(name: &'static str, bytes: &[u8]) -> Self {
        Self {
            name,
            kind: Kind::Flat,
            sha256: Sha256::digest(bytes).to_vec(),
            sha1: Sha1::digest(bytes).to_vec(),
        }
    }

    /// Its name in the package.
    pub(super) fn name(&self) -> &str {
        self.name
    }

    /// The hash that the catalog has for it.
    pub(super) fn sha256(&self) -> &[u8] {
        &self.sha256
    }
}

/// The digest of Authenticode: that of the image without its checksum, the place and the size of its
/// signature, and the signature itself. The sections of an image of ours lie in the order of the file, with
/// nothing between them.
fn image_digest<D: Digest>(bytes: &[u8]) -> Result<Vec<u8>> {
    /// From the start of the PE header; see [`crate::image`].
    const CHECKSUM: usize = 4 + 20 + 64;
    /// The fifth data directory: signature, file header, 112 bytes of the optional header and four
    /// directories lie ahead of it.
    const DIRECTORY: usize = 4 + 20 + 112 + 4 * 8;
    let image = PeFile64::parse(bytes).context("it is no 64-bit PE image")?;
    let header = image.dos_header().nt_headers_offset() as usize;
    let signature = image
        .data_directory(object::pe::IMAGE_DIRECTORY_ENTRY_SECURITY)
        .map_or(0, |directory| directory.virtual_address.get(LE) as usize);
    let end = if signature == 0 {
        bytes.len()
    } else {
        signature
    };
    ensure!(
        end % 8 == 0,
        "the image ends at byte {end}, which is no multiple of 8: signing would change its digest"
    );
    let (checksum, directory) = (header + CHECKSUM, header + DIRECTORY);
    let mut digest = D::new();
    for (from, to) in [
        (0, checksum),
        (checksum + 4, directory),
        (directory + 8, end),
    ] {
        digest.update(
            bytes
                .get(from..to)
                .context("the image ends in its header")?,
        );
    }
    Ok(digest.finalize().to_vec())
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16()
        .chain([0])
        .flat_map(u16::to_le_bytes)
        .collect()
}

fn name_value(name: &str, value: &str) -> Result<NameValue> {
    Ok(NameValue {
        name: BmpString::from_utf8(name)?,
        flags: PLAIN_TEXT,
        value: OctetString::new(utf16(value))?,
    })
}

fn attribute(oid: ObjectIdentifier, value: &impl Encode) -> Result<Attribute> {
    let value = Any::from_der(&value.to_der()?)?;
    Ok(Attribute {
        oid,
        values: SetOfVec::try_from(vec![value])?,
    })
}

fn extension(name: &str, value: &str) -> Result<Extension> {
    Ok(Extension {
        oid: NAME_VALUE,
        value: OctetString::new(name_value(name, value)?.to_der()?)?,
    })
}

fn sha256_algorithm(oid: ObjectIdentifier) -> Algorithm {
    Algorithm {
        oid,
        parameters: Null,
    }
}

/// An element with a context-specific tag.
fn tagged<T: Encode + der::EncodeValue + der::Tagged>(
    number: u32,
    tag_mode: TagMode,
    value: T,
) -> ContextSpecific<T> {
    ContextSpecific {
        tag_number: TagNumber(number),
        tag_mode,
        value,
    }
}

/// The member that Windows finds by its SHA-256, with everything that is said of the file.
fn member(file: &File) -> Result<Member> {
    let empty = || OctetString::new([]);
    // The kind of the subject is the number of an empty element.
    let (number, data) = match file.kind {
        Kind::Image => (0, image_data()?),
        Kind::Flat => {
            let name = tagged(0, TagMode::Implicit, empty()?);
            let link = tagged(2, TagMode::Explicit, Any::from_der(&name.to_der()?)?);
            let value = Any::from_der(&link.to_der()?)?;
            (2, TypedValue { oid: LINK, value })
        }
    };
    let indirect = IndirectData {
        data,
        digest: DigestInfo {
            algorithm: sha256_algorithm(SHA_256),
            digest: OctetString::new(file.sha256.clone())?,
        },
    };
    let attributes = vec![
        attribute(MEMBER_INFO, &tagged(number, TagMode::Implicit, empty()?))?,
        attribute(NAME_VALUE, &name_value("File", file.name)?)?,
        attribute(NAME_VALUE, &name_value("OSAttr", OS_ATTRIBUTE)?)?,
        attribute(INDIRECT_DATA, &indirect)?,
    ];
    Ok(Member {
        tag: OctetString::new(file.sha256.clone())?,
        attributes: SetOfVec::try_from(attributes)?,
    })
}

/// The flags "resources" and "import address table", and a file without a name.
fn image_data() -> Result<TypedValue> {
    #[derive(Sequence)]
    struct ImageData {
        flags: der::asn1::BitString,
        file: Any,
    }
    let name = tagged(0, TagMode::Implicit, OctetString::new([])?);
    let file = tagged(2, TagMode::Explicit, Any::from_der(&name.to_der()?)?);
    let link = tagged(0, TagMode::Explicit, Any::from_der(&file.to_der()?)?);
    let data = ImageData {
        flags: der::asn1::BitString::new(5, [0b1010_0000])?,
        file: Any::from_der(&link.to_der()?)?,
    };
    Ok(TypedValue {
        oid: PE_IMAGE,
        value: Any::from_der(&data.to_der()?)?,
    })
}

/// The member for those that look for the SHA-1; it says nothing but that the file is one of the package.
fn old_member(file: &File) -> Result<Member> {
    let number = if file.kind == Kind::Image { 0 } else { 2 };
    let info = tagged(number, TagMode::Implicit, OctetString::new([])?);
    Ok(Member {
        tag: OctetString::new(file.sha1.clone())?,
        attributes: SetOfVec::try_from(vec![attribute(MEMBER_INFO, &info)?])?,
    })
}

/// The catalog, not yet signed. Its members are in the order of their tags; its identifier, which only has
/// to be different for different catalogs, is made of them.
///
/// # Errors
///
/// When something is too long for its place.
pub(super) fn unsigned(files: &[File], hardware_id: &str, time: Duration) -> Result<Vec<u8>> {
    let mut members = Vec::new();
    for file in files {
        members.push(member(file)?);
        members.push(old_member(file)?);
    }
    members.sort_by(|one, other| one.tag.as_bytes().cmp(other.tag.as_bytes()));
    let mut identifier = Sha256::new();
    for member in &members {
        identifier.update(member.to_der()?);
    }
    let list = TrustList {
        usage: vec![CATALOG_LIST],
        identifier: OctetString::new(&identifier.finalize()[..16])?,
        this_update: UtcTime::from_unix_duration(time)?,
        algorithm: sha256_algorithm(CATALOG_MEMBER),
        members,
        extensions: vec![
            extension("OS", OS_NAME)?,
            extension("HWID1", &hardware_id.to_ascii_lowercase())?,
        ],
    };
    let signed = SignedData {
        version: 1,
        digest_algorithms: SetOfVec::new(),
        content: Content {
            oid: TRUST_LIST,
            value: Any::from_der(&list.to_der()?)?,
        },
        certificates: None,
        signers: SetOfVec::new(),
    };
    let content = Content {
        oid: SIGNED_DATA,
        value: Any::from_der(&signed.to_der()?)?,
    };
    Ok(content.to_der()?)
}

/// The tags of a catalog's members, signed or not.
///
/// # Errors
///
/// When it is no catalog.
pub(super) fn tags(catalog: &[u8]) -> Result<Vec<Vec<u8>>> {
    let content = Content::from_der(catalog).context("it is no PKCS #7 content")?;
    ensure!(content.oid == SIGNED_DATA, "it is no signed data");
    let signed: SignedData = content.value.decode_as().context("it is no signed data")?;
    ensure!(signed.content.oid == TRUST_LIST, "it holds no trust list");
    let list: TrustList = signed
        .content
        .value
        .decode_as()
        .context("it holds no trust list")?;
    ensure!(list.usage == [CATALOG_LIST], "its trust list is no catalog");
    Ok(list
        .members
        .iter()
        .map(|member| member.tag.as_bytes().to_vec())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog() -> Vec<u8> {
        let image = File {
            name: "a.sys",
            kind: Kind::Image,
            sha256: vec![0x22; 32],
            sha1: vec![0x33; 20],
        };
        let files = [File::flat("a.inf", b"[Version]"), image];
        unsigned(&files, "Root\\A", Duration::from_secs(1_700_000_000)).expect("all is short")
    }

    fn has(catalog: &[u8], bytes: &[u8]) -> bool {
        catalog.windows(bytes.len()).any(|window| window == bytes)
    }

    /// The bytes are those of a catalog that makecat wrote, version 2, for files of both kinds.
    #[test]
    fn the_parts_are_as_makecat_writes_them() {
        let catalog = catalog();
        let oid = |last: &[u8]| {
            [
                &[0x06, 0x0A, 0x2B, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37],
                last,
            ]
            .concat()
        };
        for (name, bytes) in [
            ("list", [&[0x30, 0x0C][..], &oid(&[12, 1, 1])].concat()),
            (
                "member, version 2",
                [&[0x30, 0x0E][..], &oid(&[12, 1, 3]), &[5, 0]].concat(),
            ),
            (
                "an image",
                [&[0x30, 0x10][..], &oid(&[12, 2, 3]), &[0x31, 2, 0x80, 0]].concat(),
            ),
            (
                "a flat file",
                [&[0x30, 0x10][..], &oid(&[12, 2, 3]), &[0x31, 2, 0x82, 0]].concat(),
            ),
            (
                "an image's flags",
                [&oid(&[2, 1, 15])[..], &[0x30, 10, 3, 2, 5, 0xA0, 0xA0]].concat(),
            ),
            (
                "a flat file's link",
                [&[0x30, 0x10][..], &oid(&[2, 1, 25]), &[0xA2, 2, 0x80, 0]].concat(),
            ),
            (
                "flags of an attribute",
                vec![0x02, 0x04, 0x10, 0x01, 0x00, 0x01],
            ),
            ("a time", b"\x17\x0d231114221320Z".to_vec()),
            ("a name", b"\x1e\x08\0F\0i\0l\0e".to_vec()),
            ("a value", b"\x04\x0ca\0.\0s\0y\0s\0\0\0".to_vec()),
            ("a hardware ID", b"r\0o\0o\0t\0\\\0a\0\0\0".to_vec()),
        ] {
            assert!(
                has(&catalog, &bytes),
                "{name}: {bytes:02x?} in {catalog:02x?}"
            );
        }
    }

    #[test]
    fn each_file_is_found_by_both_hashes_in_their_order() {
        let tags = tags(&catalog()).expect("it is a catalog");
        assert_eq!(tags.len(), 4);
        assert!(tags.is_sorted());
        assert!(tags.contains(&vec![0x22; 32]) && tags.contains(&vec![0x33; 20]));
        assert!(tags.contains(&Sha256::digest(b"[Version]").to_vec()));
        assert!(tags.contains(&Sha1::digest(b"[Version]").to_vec()));
    }

    #[test]
    fn what_is_no_catalog_is_refused() {
        let catalog = catalog();
        for bytes in [&b"x"[..], &catalog[..catalog.len() - 1], &[]] {
            assert!(super::tags(bytes).is_err());
        }
        assert!(File::image("a.sys", b"no image").is_err());
    }

    #[test]
    fn the_same_files_give_the_same_catalog() {
        assert_eq!(catalog(), catalog());
    }
}
