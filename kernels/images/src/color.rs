//! Channels into other channels, as Pillow's `convert` does.

/// `pixels` of `from` channels (1 grey, 2 grey and alpha, 3 RGB, 4 RGBA) as `to` channels (1, 3 or 4).
pub(crate) fn convert(pixels: Vec<u8>, from: usize, to: usize) -> Vec<u8> {
    if from == to {
        return pixels;
    }
    let mut out = Vec::with_capacity(pixels.len() / from * to);
    for pixel in pixels.chunks_exact(from) {
        let (rgb, alpha) = match *pixel {
            [grey] => ([grey; 3], 255),
            [grey, alpha] => ([grey; 3], alpha),
            [r, g, b] => ([r, g, b], 255),
            [r, g, b, alpha] => ([r, g, b], alpha),
            _ => unreachable!("a pixel has 1 to 4 channels"),
        };
        match to {
            1 => out.push(if from < 3 { rgb[0] } else { grey(rgb) }),
            3 => out.extend_from_slice(&rgb),
            _ => out.extend_from_slice(&[rgb[0], rgb[1], rgb[2], alpha]),
        }
    }
    out
}

/// The weights of ITU-R BT.601 in 16 bits: 0.299, 0.587, 0.114, rounded.
fn grey([r, g, b]: [u8; 3]) -> u8 {
    ((u32::from(r) * 19595 + u32::from(g) * 38470 + u32::from(b) * 7471 + 0x8000) >> 16) as u8
}
