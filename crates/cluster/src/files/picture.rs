//! Small pictures of pictures. What comes out was drawn anew from pixels: whatever else was in the bytes stays behind.
//!
//! Nothing is drawn of what would take much memory: the size that a picture says it has is looked at first.

use bytes::Bytes;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};
use std::io::Cursor;

/// The longest side of a small picture, in pixels.
const SIDE: u32 = 320;
/// The side of an icon, in pixels: at the size of a thumb, sharp on fine screens.
const ICON: u32 = 128;
/// Pixels that a picture may have of which a small one is made.
const PIXELS: u64 = 25_000_000;
/// Bytes that a decoder may take beside the picture itself.
const MEMORY: u64 = 128 << 20;
/// The quality of a JPEG, of 100.
const QUALITY: u8 = 80;
/// Bytes that a file may have of which a small picture is made: it is held in memory as a whole.
pub(super) const BYTES: u64 = 32 << 20;

/// A small picture.
pub(super) struct Picture {
    pub(super) bytes: Bytes,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) media_type: &'static str,
}

/// Whether a small picture can be made of a type.
pub(super) fn draws(media_type: &str) -> bool {
    format(media_type).is_some()
}

/// The formats that are read: those that browsers show, and that can't run anything.
fn format(media_type: &str) -> Option<ImageFormat> {
    match media_type {
        "image/png" => Some(ImageFormat::Png),
        "image/jpeg" => Some(ImageFormat::Jpeg),
        "image/gif" => Some(ImageFormat::Gif),
        "image/webp" => Some(ImageFormat::WebP),
        _ => None,
    }
}

/// Draws a small picture; `None` for what is no picture after all, or too large a one. Takes a while: not for a thread
/// on which others wait.
pub(super) fn small(bytes: &[u8], media_type: &str) -> Option<Picture> {
    match decode(bytes, format(media_type)?) {
        Ok(Some((mut image, orientation))) => {
            if image.width().max(image.height()) > SIDE {
                image = image.thumbnail(SIDE, SIDE);
            }
            image.apply_orientation(orientation);
            encode(&image).ok()
        }
        Ok(None) => None,
        Err(error) => {
            tracing::debug!(%error, "no small picture of a file");
            None
        }
    }
}

/// Draws an icon: the square in the middle of a picture, not larger than it was.
pub(super) fn icon(bytes: &[u8], media_type: &str) -> Option<Picture> {
    let (image, orientation) = decode(bytes, format(media_type)?).ok()??;
    let side = image.width().min(image.height());
    let (left, top) = ((image.width() - side) / 2, (image.height() - side) / 2);
    let mut image = image.crop_imm(left, top, side, side);
    if side > ICON {
        image = image.thumbnail_exact(ICON, ICON);
    }
    image.apply_orientation(orientation);
    encode(&image).ok()
}

/// A picture as it is written, and how it is to be turned; none if it is too large.
fn decode(bytes: &[u8], format: ImageFormat) -> Result<Option<(DynamicImage, Orientation)>, ImageError> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(MEMORY);
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > PIXELS || decoder.total_bytes() > MEMORY {
        return Ok(None);
    }
    let orientation = decoder.orientation()?;
    Ok(Some((DynamicImage::from_decoder(decoder)?, orientation)))
}

fn encode(image: &DynamicImage) -> Result<Picture, ImageError> {
    let mut bytes = Vec::new();
    let media_type = if image.color().has_alpha() {
        DynamicImage::from(image.to_rgba8()).write_with_encoder(PngEncoder::new(&mut bytes))?;
        "image/png"
    } else {
        DynamicImage::from(image.to_rgb8())
            .write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, QUALITY))?;
        "image/jpeg"
    };
    Ok(Picture { bytes: bytes.into(), width: image.width(), height: image.height(), media_type })
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Rgb, RgbImage, Rgba, RgbaImage};

    fn written(image: DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).expect("a picture");
        bytes.into_inner()
    }

    fn plain(width: u32, height: u32) -> DynamicImage {
        RgbImage::from_pixel(width, height, Rgb([200, 10, 10])).into()
    }

    #[test]
    fn a_picture_is_drawn_small_with_its_sides_in_proportion() {
        for (format, media_type) in [
            (ImageFormat::Png, "image/png"),
            (ImageFormat::Jpeg, "image/jpeg"),
            (ImageFormat::Gif, "image/gif"),
            (ImageFormat::WebP, "image/webp"),
        ] {
            let image = match format {
                ImageFormat::Gif => RgbaImage::from_pixel(640, 480, Rgba([200, 10, 10, 255])).into(),
                _ => plain(640, 480),
            };
            let small = small(&written(image, format), media_type).expect(media_type);
            assert_eq!((small.width, small.height), (320, 240), "{media_type}");
            let read = image::load_from_memory(&small.bytes).expect("a picture").to_rgb8();
            let pixel = read.get_pixel(100, 100).0;
            assert!(pixel[0] > 180 && pixel[1] < 40, "{media_type}: {pixel:?}");
        }
        let as_it_is = small(&written(plain(10, 20), ImageFormat::Png), "image/png").expect("a picture");
        assert_eq!((as_it_is.width, as_it_is.height), (10, 20));
        let clear = RgbaImage::from_pixel(100, 400, Rgba([0, 0, 0, 0])).into();
        let small = small(&written(clear, ImageFormat::Png), "image/png").expect("a picture");
        assert_eq!((small.width, small.height, small.media_type), (80, 320, "image/png"));
    }

    #[test]
    fn an_icon_is_the_square_in_the_middle() {
        let mut wide = RgbImage::from_pixel(600, 200, Rgb([10, 10, 200]));
        for (x, _, pixel) in wide.enumerate_pixels_mut() {
            if (200..400).contains(&x) {
                *pixel = Rgb([200, 10, 10]);
            }
        }
        let drawn = icon(&written(wide.into(), ImageFormat::Png), "image/png").expect("a picture");
        assert_eq!((drawn.width, drawn.height), (128, 128));
        let read = image::load_from_memory(&drawn.bytes).expect("a picture").to_rgb8();
        for (x, y) in [(2, 2), (125, 2), (64, 64), (125, 125)] {
            let pixel = read.get_pixel(x, y).0;
            assert!(pixel[0] > 180 && pixel[2] < 60, "{x} {y}: {pixel:?}");
        }
        let drawn = icon(&written(plain(10, 20), ImageFormat::Png), "image/png").expect("a picture");
        assert_eq!((drawn.width, drawn.height), (10, 10));
        assert!(icon(b"<svg/>", "image/svg+xml").is_none());
    }

    #[test]
    fn what_is_not_pixels_stays_behind() {
        let mut bytes = written(plain(10, 10), ImageFormat::Png);
        bytes.extend_from_slice(b"<script>alert(1)</script>");
        let small = small(&bytes, "image/png").expect("a picture");
        assert!(!small.bytes.windows(7).any(|some| some == b"<script"));
    }

    #[test]
    fn a_picture_that_says_to_be_huge_costs_nothing() {
        // A head that says 30,000 by 30,000; what follows is never looked at.
        let mut bytes = written(plain(1, 1), ImageFormat::Png);
        bytes[16..20].copy_from_slice(&30_000u32.to_be_bytes());
        bytes[20..24].copy_from_slice(&30_000u32.to_be_bytes());
        let sum = crc(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&sum.to_be_bytes());
        let decoder = ImageReader::with_format(Cursor::new(&bytes), ImageFormat::Png).into_decoder();
        assert_eq!(decoder.expect("its head is right").dimensions(), (30_000, 30_000));
        // Looking at more than the head would be an error: there is nothing.
        assert!(matches!(decode(&bytes, ImageFormat::Png), Ok(None)));
        assert!(small(&bytes, "image/png").is_none());
    }

    #[test]
    fn what_is_no_picture_makes_none() {
        let whole = written(plain(64, 64), ImageFormat::Jpeg);
        assert!(small(b"\x89PNG\r\n\x1a\nnonsense", "image/png").is_none());
        assert!(small(b"", "image/gif").is_none());
        assert!(small(&whole, "image/png").is_none());
        assert!(small(&whole, "image/svg+xml").is_none());
    }

    /// The checksum of PNG.
    fn crc(bytes: &[u8]) -> u32 {
        let mut sum = u32::MAX;
        for byte in bytes {
            sum ^= u32::from(*byte);
            for _ in 0..8 {
                sum = if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 };
            }
        }
        !sum
    }
}
