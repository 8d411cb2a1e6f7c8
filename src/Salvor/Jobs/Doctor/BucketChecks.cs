using Salvor.Jobs.Config;
using Salvor.Storage.S3;

namespace Salvor.Jobs.Doctor;

/// <summary>Judges what a bucket does with objects by itself: rules of others that delete or archive backups work in silence.</summary>
static class BucketChecks
{
    static readonly string[] Archives = ["GLACIER", "DEEP_ARCHIVE"];

    public static void Judge(DestinationFacts facts, CheckList list)
    {
        if (facts is not { Bucket: { } bucket, Config: S3DestinationConfig { Options: var options } })
        {
            return;
        }

        JudgeLock(bucket, options, list);
        if (bucket.Lifecycle.Value is not { } rules)
        {
            list.Unknown(
                "whether a lifecycle rule deletes or archives what is stored", bucket.Lifecycle.Obstacle,
                $"Allow s3:GetLifecycleConfiguration, or ask: 'aws s3api get-bucket-lifecycle-configuration --bucket {options.Bucket}'.");
            return;
        }

        var prefix = options.Prefix.Length == 0 ? "" : options.Prefix + "/";
        S3LifecycleRule[] ours = [.. rules.Where(rule => Meets(rule.Prefix, prefix))];
        JudgeRules(ours, options, list);
        var keepsOld = bucket.Versioning.Value is "Enabled" or "Suspended";
        if (keepsOld && !ours.Any(rule => rule.ExpiresOldVersions))
        {
            list.Warn(
                "versions that were deleted are kept and paid for without end", $"versioning is {bucket.Versioning.Value}",
                $"Let a lifecycle rule of {options.Bucket} delete noncurrent versions, after longer than a mistake takes to be noticed "
                    + "(30 days).");
        }
    }

    static void JudgeRules(S3LifecycleRule[] ours, S3Options options, CheckList list)
    {
        var edit = $"aws s3api get-bucket-lifecycle-configuration --bucket {options.Bucket}   (then remove the rule: Salvor prunes itself)";
        foreach (var rule in ours.Where(rule => rule.ExpiresAfter.Length > 0))
        {
            var what = $"a lifecycle rule deletes objects {rule.ExpiresAfter}";
            var detail = $"{Named(rule)}: what every restore needs goes too";
            if (rule.IsFiltered)
            {
                list.Warn(what, $"{detail}, where its tags or sizes match", edit);
            }
            else
            {
                list.Fail(FailureKind.Integrity, what, detail, edit);
            }
        }

        foreach (var rule in ours.Where(rule => rule.MovesTo.Intersect(Archives).Any()))
        {
            list.Warn(
                $"a lifecycle rule archives objects to {string.Join(", ", rule.MovesTo.Intersect(Archives))}",
                $"{Named(rule)}: a restore then waits for hours, and for somebody who brings them back first", edit);
        }

        if (ours.All(rule => rule.ExpiresAfter.Length == 0 && !rule.MovesTo.Intersect(Archives).Any()))
        {
            list.Ok("no lifecycle rule deletes or archives what is stored", ours.Length == 0 ? "" : $"{ours.Length} rule(s) looked at");
        }
    }

    static void JudgeLock(S3BucketSettings bucket, S3Options options, CheckList list)
    {
        const string Permission = "Allow s3:GetBucketVersioning and s3:GetBucketObjectLockConfiguration to see it.";
        if (bucket.Versioning.Value is not { } versioning)
        {
            list.Unknown("whether the bucket keeps versions", bucket.Versioning.Obstacle, Permission);
        }
        else if (bucket.ObjectLock.Value is not { } objectLock)
        {
            list.Unknown("whether the bucket locks objects", bucket.ObjectLock.Obstacle, Permission);
        }
        else if (objectLock != "off" || versioning == "Enabled")
        {
            list.Ok("what is deleted or replaced there can be brought back", $"versioning {versioning}, object lock {objectLock}");
        }
        else
        {
            list.Warn(
                "who has its credentials can delete everything for good", $"versioning {versioning}, object lock {objectLock}",
                $"aws s3api put-bucket-versioning --bucket {options.Bucket} --versioning-configuration Status=Enabled");
        }
    }

    /// <summary>Whether a rule for one prefix is about some of the keys of another.</summary>
    static bool Meets(string rule, string ours) =>
        ours.StartsWith(rule, StringComparison.Ordinal) || rule.StartsWith(ours, StringComparison.Ordinal);

    static string Named(S3LifecycleRule rule) =>
        rule.Prefix.Length == 0 ? "the rule for all keys" : $"the rule for keys below {rule.Prefix}";
}
