//! Files that may be packed by gzip, whatever their names say.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::GzDecoder;

/// A gzip stream begins so.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// What a file holds, unpacked where it is packed.
pub enum Unpacked<R> {
    /// It is not.
    Plain(BufReader<io::Chain<io::Cursor<Vec<u8>>, R>>),
    /// It is.
    Gzip(Members<BufReader<io::Chain<io::Cursor<Vec<u8>>, R>>>),
}

impl<R: Read> Unpacked<R> {
    /// Looks at the first bytes.
    pub fn new(mut reader: R) -> io::Result<Self> {
        let mut head = Vec::new();
        reader.by_ref().take(GZIP.len() as u64).read_to_end(&mut head)?;
        let is_gzip = head == GZIP;
        let whole = BufReader::new(io::Cursor::new(head).chain(reader));
        Ok(if is_gzip { Self::Gzip(Members::new(whole)) } else { Self::Plain(whole) })
    }

    /// Whether it was packed.
    pub fn is_gzip(&self) -> bool {
        matches!(self, Self::Gzip(_))
    }
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(reader) => reader.read(buffer),
            Self::Gzip(members) => members.read(buffer),
        }
    }
}

/// The members of a gzip file one after the other, as `gunzip` reads them: zeros after a member, with which tapes and
/// block devices are filled up, are passed over. What else follows is an error.
pub struct Members<R> {
    /// None after the last one.
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Members<R> {
    fn new(reader: R) -> Self {
        Self { member: Some(GzDecoder::new(reader)) }
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let count = member.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            let Some(mut rest) = self.member.take().map(GzDecoder::into_inner) else { break };
            self.member = match next_byte(&mut rest)? {
                None => None,
                Some(byte) if byte == GZIP[0] => Some(GzDecoder::new(rest)),
                Some(byte) => {
                    let problem =
                        format!("after its gzip stream comes 0x{byte:02x}, which begins no other one");
                    return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
                }
            };
        }
        Ok(0)
    }
}

/// Passes over zeros, and looks at what comes then.
fn next_byte(reader: &mut impl BufRead) -> io::Result<Option<u8>> {
    loop {
        let bytes = reader.fill_buf()?;
        let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
        let found = bytes.get(zeros).copied();
        let is_end = bytes.is_empty();
        reader.consume(zeros);
        if is_end || found.is_some() {
            return Ok(found);
        }
    }
}
