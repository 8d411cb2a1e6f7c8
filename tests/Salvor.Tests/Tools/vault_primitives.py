"""What the independent reader and the maker of test vectors compute with: checksums, hashes, ciphers and codecs, by libraries of the
system."""
import ctypes
import hmac
import zlib

zstd, lz4, xxhash, crypto = (ctypes.CDLL(name) for name in ("libzstd.so.1", "liblz4.so.1", "libxxhash.so.0", "libcrypto.so.3"))
zstd.ZSTD_decompress.restype = zstd.ZSTD_findFrameCompressedSize.restype = ctypes.c_size_t
zstd.ZSTD_decompress.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]
zstd.ZSTD_findFrameCompressedSize.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
xxhash.XXH3_64bits_withSeed.restype = ctypes.c_uint64
xxhash.XXH3_64bits_withSeed.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint64]
for function in ("EVP_CIPHER_CTX_new", "EVP_aes_256_gcm"):
    getattr(crypto, function).restype = ctypes.c_void_p


def crc_table():
    single = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        single.append(value)
    return single, [single[single[pair & 255] & 255 ^ pair >> 8] ^ single[pair & 255] >> 8 for pair in range(65536)]


CRC1, CRC2 = crc_table()


def crc32c(data):
    crc, even = 0xFFFFFFFF, len(data) & ~1
    for pair in memoryview(data)[:even].cast("H"):
        crc = CRC2[(crc ^ pair) & 0xFFFF] ^ crc >> 16
    for byte in data[even:]:
        crc = CRC1[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def unzstd(data, length):
    """The content of exactly one zstd frame of a known length, or None; never more memory than that length."""
    if zstd.ZSTD_findFrameCompressedSize(data, len(data)) != len(data):
        return None
    content = ctypes.create_string_buffer(length + 1)
    return content.raw[:length] if zstd.ZSTD_decompress(content, length, data, len(data)) == length else None


def unlz4(data, length):
    """The content of exactly one LZ4 block of a known length, or None."""
    content = ctypes.create_string_buffer(length + 1)
    return content.raw[:length] if lz4.LZ4_decompress_safe(data, content, len(data), length) == length else None


def ungzip(data, length):
    """The content of exactly one gzip member of a known length and without optional fields, or None."""
    if data[:4] != b"\x1f\x8b\x08\0":
        return None
    try:
        stream = zlib.decompressobj(31)
        content = stream.decompress(data, length + 1)
    except zlib.error:
        return None
    return content if len(content) == length and stream.eof and not stream.unused_data else None


UNPACK = {1: unzstd, 2: unlz4, 3: ungzip}


def unpack(codec, data, length):
    """The content of a frame by its codec, or None."""
    return UNPACK[codec](data, length) if codec else data


def open_gcm(key, nonce, sealed, associated):
    """AES-256-GCM: the content, or None where the tag does not fit."""
    context, count = ctypes.c_void_p(crypto.EVP_CIPHER_CTX_new()), ctypes.c_int()
    try:
        body, tag = sealed[:-16], sealed[-16:]
        content = ctypes.create_string_buffer(len(body) + 1)
        crypto.EVP_DecryptInit_ex(context, ctypes.c_void_p(crypto.EVP_aes_256_gcm()), None, key, nonce)
        crypto.EVP_DecryptUpdate(context, None, ctypes.byref(count), associated, len(associated))
        crypto.EVP_DecryptUpdate(context, content, ctypes.byref(count), body, len(body))
        crypto.EVP_CIPHER_CTX_ctrl(context, 0x11, 16, tag)
        return content.raw[:len(body)] if crypto.EVP_DecryptFinal_ex(context, None, ctypes.byref(count)) == 1 else None
    finally:
        crypto.EVP_CIPHER_CTX_free(context)


def seal_gcm(key, nonce, content, associated):
    """AES-256-GCM: the ciphertext and its tag."""
    context, count, tag = ctypes.c_void_p(crypto.EVP_CIPHER_CTX_new()), ctypes.c_int(), ctypes.create_string_buffer(16)
    try:
        body = ctypes.create_string_buffer(len(content) + 1)
        crypto.EVP_EncryptInit_ex(context, ctypes.c_void_p(crypto.EVP_aes_256_gcm()), None, key, nonce)
        crypto.EVP_EncryptUpdate(context, None, ctypes.byref(count), associated, len(associated))
        crypto.EVP_EncryptUpdate(context, body, ctypes.byref(count), content, len(content))
        crypto.EVP_EncryptFinal_ex(context, None, ctypes.byref(count))
        crypto.EVP_CIPHER_CTX_ctrl(context, 0x10, 16, tag)
        return body.raw[:len(content)] + tag.raw
    finally:
        crypto.EVP_CIPHER_CTX_free(context)


def hkdf(secret, salt, info, length=32):
    return hmac.digest(hmac.digest(salt or bytes(32), secret, "sha256"), info + b"\1", "sha256")[:length]


def argon2id(secret, salt, memory, iterations, lanes):
    library, out = ctypes.CDLL("libargon2.so.1"), ctypes.create_string_buffer(32)
    status = library.argon2id_hash_raw(ctypes.c_uint32(iterations), ctypes.c_uint32(memory), ctypes.c_uint32(lanes), secret,
                                       ctypes.c_size_t(len(secret)), salt, ctypes.c_size_t(len(salt)), out, ctypes.c_size_t(32))
    return out.raw if status == 0 else None


def page_hash(seed, number, page):
    """XXH3 of a page, as section 5 of docs/format.md has it."""
    return xxhash.XXH3_64bits_withSeed(page, len(page), seed ^ number) or 1
