"""churn.py exchange PATH OTHER: exchanges two names again and again. churn.py files DIRECTORY: makes, grows, cuts, renames and removes
files in a directory. Each until it is stopped; prints a line when it has begun."""
import ctypes
import os
import random
import sys

libc = ctypes.CDLL(None, use_errno=True)


def exchange(one, other):
    here, flag = -100, 2
    if libc.renameat2(here, os.fsencode(one), here, os.fsencode(other), flag) != 0:
        raise OSError(ctypes.get_errno(), "renameat2")


def change(folder, chance):
    path = os.path.join(folder, str(chance.randrange(40)))
    try:
        match chance.randrange(6):
            case 0 | 1:
                with open(path, "wb") as file:
                    file.write(chance.randbytes(chance.randrange(1 << 18)))
            case 2:
                with open(path, "ab") as file:
                    file.write(chance.randbytes(5000))
            case 3:
                os.truncate(path, os.path.getsize(path) // 2)
            case 4:
                os.rename(path, os.path.join(folder, str(chance.randrange(40))))
            case 5:
                os.remove(path)
    except FileNotFoundError:
        pass


what, *names = sys.argv[1:]
chance = random.Random(7)
print("begun", flush=True)
while True:
    exchange(*names) if what == "exchange" else change(*names, chance)
