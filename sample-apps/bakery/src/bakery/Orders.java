package bakery;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;

/**
 * The orders: a file to which lines are added, each an order as JSON.
 *
 * <p>While one release replaces another, two processes have the file open. So whoever reads or writes
 * holds a lock on it, and first takes up what the other one added. An order is acknowledged when it is
 * on the disk. What a process or a machine that died left of a line is cut off before the next one.
 */
final class Orders implements AutoCloseable {
    private static final int LATEST = 50;
    private static final int CHUNK_BYTES = 1 << 16;
    /** Longer than any order: more without an end of a line is no file of orders. */
    private static final int MAX_LINE_BYTES = 1 << 14;

    /** How many orders there are, and the last of them, newest first. */
    record Latest(long count, List<String> lines) {}

    private final FileChannel file;
    /** As far as this the file was read: the end of a line. */
    private long end;
    private long count;
    private final Deque<String> latest = new ArrayDeque<>();

    Orders(Path path) throws IOException {
        file = FileChannel.open(path,
                StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
        // The name of a new file is on the disk when its directory is.
        try (FileChannel directory = FileChannel.open(path.toAbsolutePath().getParent())) {
            directory.force(true);
        }
        latest();
    }

    /** Adds an order of these fields and returns it, once it is on the disk. */
    synchronized String append(String fields) throws IOException {
        try (FileLock lock = file.lock()) {
            catchUp();
            // Left by somebody who died while writing, and acknowledged to nobody.
            file.truncate(end);
            String order = "{\"number\":" + (count + 1) + "," + fields
                    + ",\"at\":\"" + Instant.now().truncatedTo(ChronoUnit.SECONDS) + "\"}";
            ByteBuffer line = ByteBuffer.wrap((order + "\n").getBytes(StandardCharsets.UTF_8));
            try {
                for (long position = end; line.hasRemaining();) {
                    position += file.write(line, position);
                }
                file.force(true);
            } catch (IOException error) {
                // Whoever ordered is told that it failed: then it is not to be there.
                file.truncate(end);
                throw error;
            }
            catchUp();
            return order;
        }
    }

    synchronized Latest latest() throws IOException {
        try (FileLock lock = file.lock(0, Long.MAX_VALUE, true)) {
            catchUp();
            return new Latest(count, List.copyOf(latest));
        }
    }

    /** Takes up the whole lines behind `end`. */
    private void catchUp() throws IOException {
        ByteBuffer chunk = ByteBuffer.allocate(CHUNK_BYTES);
        while (file.read(chunk.clear(), end) > 0) {
            byte[] bytes = chunk.array();
            int begin = 0;
            for (int at = 0; at < chunk.position(); at++) {
                if (bytes[at] == '\n') {
                    count++;
                    latest.addFirst(new String(bytes, begin, at - begin, StandardCharsets.UTF_8));
                    if (latest.size() > LATEST) {
                        latest.removeLast();
                    }
                    begin = at + 1;
                }
            }
            if (begin == 0) {
                if (chunk.position() > MAX_LINE_BYTES) {
                    throw new IOException("byte " + end + " of the file begins a line that is no order");
                }
                return;
            }
            end += begin;
        }
    }

    @Override
    public synchronized void close() throws IOException {
        file.close();
    }
}
