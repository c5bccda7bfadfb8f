//! A heat map as a PNG within the page: one hue, whose opacity is the value, so that it suits a light and
//! a dark page alike. As rectangles of SVG it would be a hundred times larger.

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// Red, green, blue; the same as `--busy` in `page.css`.
const HUE: [u8; 3] = [0x2f, 0x7f, 0xc4];

/// `data:image/png;base64,…` of rows of equal length, one pixel a value; none if there is nothing to draw
/// or it is too large for a PNG.
pub fn data_uri(rows: &[&[u8]]) -> Option<String> {
    let width = rows.iter().map(|row| row.len()).max().filter(|&width| width > 0)?;
    let mut pixels = Vec::with_capacity(width * rows.len());
    for row in rows {
        pixels.extend_from_slice(row);
        pixels.resize(pixels.len() + width - row.len(), 0);
    }
    let mut file = Vec::new();
    let mut encoder =
        png::Encoder::new(&mut file, u32::try_from(width).ok()?, u32::try_from(rows.len()).ok()?);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_palette(HUE.repeat(256));
    encoder.set_trns((0..=255).collect::<Vec<u8>>());
    encoder.set_compression(png::Compression::High);
    let mut writer = encoder.write_header().ok()?;
    writer.write_image_data(&pixels).ok()?;
    writer.finish().ok()?;
    Some(format!("data:image/png;base64,{}", STANDARD.encode(file)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_says_what_it_was_given() {
        let uri = data_uri(&[&[0, 128, 255], &[7]]).unwrap();
        let file = STANDARD.decode(uri.strip_prefix("data:image/png;base64,").unwrap()).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        assert_eq!((reader.info().width, reader.info().height), (3, 2));
        assert_eq!(pixels, [0, 128, 255, 7, 0, 0]);
        assert_eq!(data_uri(&[]), None);
        assert_eq!(data_uri(&[&[]]), None);
    }
}
