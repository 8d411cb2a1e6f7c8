"""make_tree.py DIRECTORY: makes a directory with every kind of entry that a file system can hold, as far as the user may."""
import os
import random
import socket
import subprocess
import sys

root = os.fsencode(sys.argv[1])
chance = random.Random(1)


def write(name, content, mode=0o644):
    path = os.path.join(root, name)
    with open(path, "wb") as file:
        file.write(content)
    os.chmod(path, mode)
    return path


os.makedirs(os.path.join(root, b"d/e/f"))
os.makedirs(os.path.join(root, b"empty"))
text = write(b"text", b"".join(b"line %d of the log\n" % i for i in range(20000)))
write(b"zero", b"")
write(b"not utf-8 \xff\xfe", chance.randbytes(70000))
write(b"new\nline", b"x")
write(b"big", chance.randbytes(3_000_000))
write(b"d/e/f/deep", b"deep")
for i in range(100):
    write(b"d/s%03d" % i, chance.randbytes(chance.randrange(0, 9000)))
write(b"private", b"secret", 0o600)
write(b"suid", b"#!/bin/sh\n", 0o4755)
os.symlink(b"../text", os.path.join(root, b"d/link"))
os.symlink(b"nowhere \xff", os.path.join(root, b"dangling"))
os.link(os.path.join(root, b"big"), os.path.join(root, b"d/hard"))
os.link(os.path.join(root, b"big"), os.path.join(root, b"zz-hard"))
file = os.open(os.path.join(root, b"sparse"), os.O_CREAT | os.O_WRONLY, 0o640)
os.pwrite(file, b"A" * 5000, 1 << 20)
os.pwrite(file, b"B", 50 << 20)
os.ftruncate(file, 60 << 20)
os.close(file)
file = os.open(os.path.join(root, b"hole"), os.O_CREAT | os.O_WRONLY, 0o640)
os.ftruncate(file, 5 << 20)
os.close(file)
os.mkfifo(os.path.join(root, b"pipe"), 0o604)
server = socket.socket(socket.AF_UNIX)
here = os.getcwd()
os.chdir(root)
server.bind(b"socket")
os.chdir(here)
os.setxattr(text, b"user.note", b"value\0z")
os.setxattr(os.path.join(root, b"d"), b"user.note", b"of a directory")
subprocess.run([b"setfacl", b"-m", b"u:1:r", text], check=True)
subprocess.run([b"setfacl", b"-d", b"-m", b"u:1:rwx", os.path.join(root, b"empty")], check=True)
if os.geteuid() == 0:
    os.mknod(os.path.join(root, b"character"), 0o020644, os.makedev(1, 3))
    os.mknod(os.path.join(root, b"block"), 0o060600, os.makedev(259, 70000))
    os.chown(text, 33, 33)
    os.lchown(os.path.join(root, b"dangling"), 1234, 4321)
    os.chown(os.path.join(root, b"suid"), 2, 2)
    os.chmod(os.path.join(root, b"suid"), 0o4755)
os.chmod(os.path.join(root, b"empty"), 0o1777)
os.utime(text, ns=(1, 1234567890123456789))
os.utime(os.path.join(root, b"dangling"), ns=(5, 987654321987654321), follow_symlinks=False)
os.utime(os.path.join(root, b"zero"), ns=(5, -1500000001))
os.utime(os.path.join(root, b"d/e"), ns=(5, 1000000000000000001))
os.chmod(os.path.join(root, b"d/e"), 0o500)
