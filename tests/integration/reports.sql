-- Daily heist stats
SELECT 
  DATE(created_at) as date,
  COUNT(*) filter (where status = 'SUCCESS') as successful_heists,
  COUNT(*) filter (where status != 'SUCCESS') as failed_heists,
  AVG(points_stolen) filter (where status = 'SUCCESS') as avg_points_stolen
FROM "Heist"
WHERE created_at >= NOW() - INTERVAL '7 days'
GROUP BY DATE(created_at)
ORDER BY date DESC;

-- Token distribution
SELECT 
  balance,
  COUNT(*) as user_count
FROM "HeistToken"
GROUP BY balance
ORDER BY balance DESC;

-- Top robbers
SELECT 
  u.name,
  COUNT(h.id) as heist_count,
  SUM(h.points_stolen) as total_stolen
FROM "Heist" h
JOIN "User" u ON h.attacker_id = u.id
WHERE h.status = 'SUCCESS'
  AND h.created_at >= NOW() - INTERVAL '30 days'
GROUP BY u.id, u.name
ORDER BY heist_count DESC
LIMIT 10;
