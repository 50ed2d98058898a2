"""Whole numbers in as few bytes as they need, and bytes read in order, none beyond their end."""

MOST_BYTES = 9  # of a whole number


class CutShort(Exception):
    """There are fewer bytes than are asked for."""


def varint(number: int) -> bytes:
    """Return a whole number >= 0, seven bits a byte, the lowest first: all bytes but the last have the highest bit."""
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


class ByteReader:
    """Reads bytes in order.

    Attributes:
      position: of the next one.
      end: where they end.
    """

    def __init__(self, data: bytes, position: int, end: int) -> None:
        """Read from one position to another."""
        self._data, self.position, self.end = data, position, end

    def take(self, num: int) -> bytes:
        """Return the next bytes.

        Raises:
          CutShort: if there are fewer.
        """
        if num > self.end - self.position:
            raise CutShort
        self.position += num
        return self._data[self.position - num : self.position]

    def number(self) -> int:
        """Return the next whole number, as `varint` writes it.

        Raises:
          CutShort: if it does not end.
        """
        found = 0
        for place in range(MOST_BYTES):
            byte = self.take(1)[0]
            found |= (byte & 127) << 7 * place
            if byte < 128:
                return found
        raise CutShort
