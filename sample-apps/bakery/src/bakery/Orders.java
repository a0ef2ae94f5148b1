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
 * The orders, in a file with one line of JSON per order.
 *
 * <p>During a deploy, two processes have the file open. Each read or write therefore takes a file lock and first
 * reads the lines that the other process appended. An order is acknowledged once it is on disk. If a crash leaves an
 * incomplete line, the next append removes it.
 */
final class Orders implements AutoCloseable {
    private static final int LATEST = 50;
    private static final int CHUNK_BYTES = 1 << 16;
    /** Longer than any order. A longer line means that the file is damaged. */
    private static final int MAX_LINE_BYTES = 1 << 14;

    /** The number of orders, and the latest of them, newest first. */
    record Latest(long count, List<String> lines) {}

    private final FileChannel file;
    /** Position up to which the file has been read, always the end of a line. */
    private long end;
    private long count;
    private final Deque<String> latest = new ArrayDeque<>();

    Orders(Path path) throws IOException {
        file = FileChannel.open(path,
                StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
        // Makes the entry of a new file durable.
        try (FileChannel directory = FileChannel.open(path.toAbsolutePath().getParent())) {
            directory.force(true);
        }
        latest();
    }

    /** Appends an order with these JSON fields, and returns it once it is on disk. */
    synchronized String append(String fields) throws IOException {
        try (FileLock lock = file.lock()) {
            catchUp();
            // Removes an incomplete line of a process that crashed. It was never acknowledged.
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
                // The customer gets an error, so the order must not stay in the file.
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

    /** Reads the complete lines after `end`. */
    private void catchUp() throws IOException {
        ByteBuffer chunk = ByteBuffer.allocate(CHUNK_BYTES);
        while (file.read(chunk.clear(), end) > 0) {
            byte[] bytes = chunk.array();
            int begin = 0;
            for (int i = 0; i < chunk.position(); i++) {
                if (bytes[i] == '\n') {
                    count++;
                    latest.addFirst(new String(bytes, begin, i - begin, StandardCharsets.UTF_8));
                    if (latest.size() > LATEST) {
                        latest.removeLast();
                    }
                    begin = i + 1;
                }
            }
            if (begin == 0) {
                if (chunk.position() > MAX_LINE_BYTES) {
                    throw new IOException("the file of orders is damaged: no valid order at byte " + end);
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
