using System.Globalization;
using System.Net.Mail;
using System.Text;
using Salvor.Jobs.Config;

namespace Salvor.Jobs.Notify.Smtp;

/// <summary>A message as mail (RFC 5322, with MIME): plain text, in base64, so that nothing in a log has a meaning on its way.</summary>
static class MailText
{
    const int EncodedBytesMax = 42;

    /// <summary>The whole mail, with lines that end as mail's do.</summary>
    /// <param name="email">From whom to whom.</param>
    /// <param name="message">What it says.</param>
    /// <param name="id">What the mail is called, unlike every other.</param>
    public static string Of(EmailConfig email, NotifyMessage message, string id)
    {
        var text = new StringBuilder();
        Header("Date", message.At.ToString("ddd, dd MMM yyyy HH:mm:ss +0000", CultureInfo.InvariantCulture));
        Header("From", email.From);
        Header("To", string.Join(",\r\n ", email.To));
        Header("Subject", Encoded(NotifyText.Subject(message, email.Subject)));
        Header("Message-ID", $"<{id}@{DomainOf(email.From)}>");

        // No automatic answer is wanted, and none is sent to such mail.
        Header("Auto-Submitted", "auto-generated");
        Header("X-Salvor-Event", NotifyText.NameOf(message.Kind));
        Header("MIME-Version", "1.0");
        Header("Content-Type", "text/plain; charset=utf-8");
        Header("Content-Transfer-Encoding", "base64");
        text.Append("\r\n");
        var body = Encoding.UTF8.GetBytes(NotifyText.Body(message).Replace("\n", "\r\n", StringComparison.Ordinal));
        text.Append(Convert.ToBase64String(body, Base64FormattingOptions.InsertLineBreaks)).Append("\r\n");
        return text.ToString();

        void Header(string name, string value) => text.Append(name).Append(": ").Append(value).Append("\r\n");
    }

    /// <summary>The address alone, as servers take it.</summary>
    public static string AddressOf(string mailbox) => new MailAddress(mailbox).Address;

    static string DomainOf(string mailbox) => new MailAddress(mailbox).Host;

    /// <summary>A header of ASCII is itself; else words of at most 75 characters (RFC 2047), which are whole characters.</summary>
    static string Encoded(string text)
    {
        if (text.All(c => c is >= ' ' and < '\u007f') && !text.Contains("=?", StringComparison.Ordinal))
        {
            return text;
        }

        var words = new List<byte[]>();
        var word = new List<byte>();
        foreach (var rune in text.EnumerateRunes())
        {
            var bytes = Encoding.UTF8.GetBytes(rune.ToString());
            if (word.Count + bytes.Length > EncodedBytesMax)
            {
                words.Add([.. word]);
                word.Clear();
            }

            word.AddRange(bytes);
        }

        words.Add([.. word]);
        return string.Join("\r\n ", words.Select(item => $"=?utf-8?B?{Convert.ToBase64String(item)}?="));
    }
}
