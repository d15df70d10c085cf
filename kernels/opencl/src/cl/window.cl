// Sliding windows over planes of float. After math.cl.

#define COLUMNS 32

// The windows of image `first + id2` in the panels that a product takes: row (channel, i, j) of a group, column
// (y, x) of the result. ids (panel, group and channel, image).
kernel void columns(
    global const float *restrict x, int channels, int height, int width, int kernel_h, int kernel_w,
    int stride_h, int stride_w, int padding_h, int padding_w, int dilation_h, int dilation_w,
    int out_h, int out_w, int groups, int first, global float *restrict out)
{
    int panel = get_global_id(0), channel = get_global_id(1), image = get_global_id(2);
    int per_group = channels / groups, group = channel / per_group;
    int size = kernel_h * kernel_w, k = per_group * size;
    x += ((size_t)(first + image) * channels + channel) * height * width;
    out += (((size_t)image * groups + group) * get_global_size(0) + panel) * k * COLUMNS
        + (size_t)(channel % per_group) * size * COLUMNS;
    int start = panel * COLUMNS, n = min(COLUMNS, out_h * out_w - start);
    for (int i = 0; i < kernel_h; i++)
        for (int j = 0; j < kernel_w; j++, out += COLUMNS) {
            int y = start / out_w, z = start % out_w, done = 0;
            // Runs along one row of the result.
            while (done < n) {
                int run = min(n - done, out_w - z);
                int from = y * stride_h - padding_h + i * dilation_h;
                int at = z * stride_w - padding_w + j * dilation_w;
                if (from < 0 || from >= height) {
                    for (int c = 0; c < run; c++) out[done + c] = 0;
                } else if (stride_w == 1 && at >= 0 && at + run <= width) {
                    for (int c = 0; c < run; c++) out[done + c] = x[from * width + at + c];
                } else {
                    for (int c = 0; c < run; c++) {
                        int place = at + c * stride_w;
                        out[done + c] = place >= 0 && place < width ? x[from * width + place] : 0;
                    }
                }
                done += run;
                z = 0;
                y++;
            }
            for (; done < COLUMNS; done++) out[done] = 0;
        }
}

// Each channel of the result from one channel: ids (row of the result, channel of the result, image).
kernel void depthwise(
    global const float *restrict x, global const float *restrict weight, int channels, int height, int width,
    int kernel_h, int kernel_w, int stride_h, int stride_w, int padding_h, int padding_w, int dilation_h,
    int dilation_w, int out_h, int out_w, int per_channel, global const float *restrict bias,
    global const float *restrict added, int activation, float slope, global float *restrict out)
{
    int y = get_global_id(0), channel = get_global_id(1), image = get_global_id(2);
    int n_out = get_global_size(1);
    x += ((size_t)image * channels + channel / per_channel) * height * width;
    weight += channel * kernel_h * kernel_w;
    size_t place = (((size_t)image * n_out + channel) * out_h + y) * out_w;
    out += place;
    float start = bias ? bias[channel] : 0;
    for (int z = 0; z < out_w; z++) out[z] = start;
    for (int i = 0; i < kernel_h; i++) {
        int from = y * stride_h - padding_h + i * dilation_h;
        if (from < 0 || from >= height) continue;
        for (int j = 0; j < kernel_w; j++) {
            int shift = j * dilation_w - padding_w;
            // The first and last place whose window element lies inside.
            int low = shift >= 0 ? 0 : (-shift + stride_w - 1) / stride_w;
            int high = shift >= width ? 0 : min(out_w, (width - 1 - shift) / stride_w + 1);
            float w = weight[i * kernel_w + j];
            global const float *line = x + from * width + shift;
            for (int z = low; z < high; z++) out[z] += w * line[z * stride_w];
        }
    }
    for (int z = 0; z < out_w; z++) {
        float v = out[z];
        if (added) v += added[place + z];
        out[z] = f_activate(v, activation, slope);
    }
}

// One number of the result an item: ids (column, row, channel and image of the result).
kernel void direct(
    global const float *restrict x, global const float *restrict weight, int channels, int height, int width,
    int kernel_h, int kernel_w, int stride_h, int stride_w, int padding_h, int padding_w, int dilation_h,
    int dilation_w, int out_h, int out_w, int groups, int n_out, global const float *restrict bias,
    global const float *restrict added, int activation, float slope, global float *restrict out)
{
    int z = get_global_id(0), y = get_global_id(1), channel = get_global_id(2) % n_out, image = get_global_id(2) / n_out;
    int per_group = channels / groups, group = channel / (n_out / groups);
    x += ((size_t)image * channels + group * per_group) * height * width;
    weight += (size_t)channel * per_group * kernel_h * kernel_w;
    float sum = bias ? bias[channel] : 0;
    for (int c = 0; c < per_group; c++)
        for (int i = 0; i < kernel_h; i++) {
            int from = y * stride_h - padding_h + i * dilation_h;
            if (from < 0 || from >= height) continue;
            for (int j = 0; j < kernel_w; j++) {
                int at = z * stride_w - padding_w + j * dilation_w;
                if (at >= 0 && at < width)
                    sum += weight[(c * kernel_h + i) * kernel_w + j] * x[((size_t)c * height + from) * width + at];
            }
        }
    size_t place = (((size_t)image * n_out + channel) * out_h + y) * out_w + z;
    if (added) sum += added[place];
    out[place] = f_activate(sum, activation, slope);
}

// ids (column of the result, row of the result, plane).
kernel void max_pool(
    global const float *restrict x, int height, int width, int kernel_h, int kernel_w, int stride_h, int stride_w,
    int padding_h, int padding_w, int dilation_h, int dilation_w, global float *restrict out)
{
    int z = get_global_id(0), y = get_global_id(1);
    size_t plane = get_global_id(2);
    x += plane * height * width;
    float top = -INFINITY;
    for (int i = 0; i < kernel_h; i++) {
        int from = y * stride_h - padding_h + i * dilation_h;
        if (from < 0 || from >= height) continue;
        for (int j = 0; j < kernel_w; j++) {
            int at = z * stride_w - padding_w + j * dilation_w;
            if (at < 0 || at >= width) continue;
            float v = x[from * width + at];
            top = v > top || isnan(v) ? v : top;
        }
    }
    out[(plane * get_global_size(1) + y) * get_global_size(0) + z] = top;
}

kernel void mean_pool(
    global const float *restrict x, int height, int width, int kernel_h, int kernel_w, int stride_h, int stride_w,
    int padding_h, int padding_w, int count_padding, int divisor, global float *restrict out)
{
    int z = get_global_id(0), y = get_global_id(1);
    size_t plane = get_global_id(2);
    x += plane * height * width;
    int y0 = y * stride_h, y1 = min(y0 + kernel_h, height + 2 * padding_h);
    int z0 = z * stride_w, z1 = min(z0 + kernel_w, width + 2 * padding_w);
    int tall = y1 - y0, wide = z1 - z0;
    y0 = clamp(y0 - padding_h, 0, height), y1 = clamp(y1 - padding_h, 0, height);
    z0 = clamp(z0 - padding_w, 0, width), z1 = clamp(z1 - padding_w, 0, width);
    A sum = 0;
    for (int i = y0; i < y1; i++)
        for (int j = z0; j < z1; j++) sum += x[i * width + j];
    int inside = max(y1 - y0, 0) * max(z1 - z0, 0);
    int count = divisor ? divisor : count_padding ? tall * wide : inside;
    out[(plane * get_global_size(1) + y) * get_global_size(0) + z] = inside ? (float)(sum / count) : 0;
}

kernel void adaptive_pool(global const float *restrict x, int height, int width, int is_max, global float *restrict out)
{
    int z = get_global_id(0), y = get_global_id(1), out_w = get_global_size(0), out_h = get_global_size(1);
    size_t plane = get_global_id(2);
    x += plane * height * width;
    int y0 = (int)((long)y * height / out_h), y1 = (int)(((long)(y + 1) * height + out_h - 1) / out_h);
    int z0 = (int)((long)z * width / out_w), z1 = (int)(((long)(z + 1) * width + out_w - 1) / out_w);
    A sum = 0;
    float top = -INFINITY;
    for (int i = y0; i < y1; i++)
        for (int j = z0; j < z1; j++) {
            float v = x[i * width + j];
            sum += v;
            top = v > top || isnan(v) ? v : top;
        }
    out[(plane * out_h + y) * out_w + z] = is_max ? top : (float)(sum / ((y1 - y0) * (z1 - z0)));
}
